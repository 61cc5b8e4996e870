//! What commands send the supervisor, and what supervisor, worker and loader tell each other.

use oxinetd::config::loader::{self, Answer};
use oxinetd::control::{
    Keys, LENGTH, LONGEST, Order, Report, Request, Route, list_from_file, list_to_file,
};
use oxinetd::table::{Acl, Client};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;

/// The lines of a connection to the control socket. A request that is written again is the same; the
/// answer to anything else is one line.
pub(super) fn request(bytes: &[u8]) {
    for line in bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| line.len() < LONGEST)
    {
        match Request::parse(line) {
            Ok(request) => {
                let _ = request.only_looks();
                let written = serde_json::to_vec(&request).expect("it can be written");
                assert!(!written.contains(&b'\n'));
                assert_eq!(Request::parse(&written), Ok(request));
            }
            Err(error) => {
                let answer = serde_json::to_string(&error).expect("text");
                assert!(!error.is_empty() && !answer.contains('\n'));
            }
        }
    }
}

/// An order that is taken is, byte for byte, one that the supervisor would have sent.
pub(super) fn order(bytes: &[u8]) {
    if let Ok(order) = Order::decode(bytes) {
        assert_eq!(order.encode(), bytes, "{order:?}");
    }
    // A fuzzer would try other lengths most of the time.
    if let Ok(order) = Order::decode(&padded(bytes)) {
        assert_eq!(Order::decode(&order.encode()), Ok(order));
        assert_eq!(order.encode(), padded(bytes), "{order:?}");
    }
}

/// The same for a message of reports.
pub(super) fn report(bytes: &[u8]) {
    for record in bytes.chunks(LENGTH) {
        if let Ok(report) = Report::decode(record) {
            assert_eq!(report.encode(), record, "{report:?}");
        }
        if let Ok(report) = Report::decode(&padded(record)) {
            assert_eq!(Report::decode(&report.encode()), Ok(report));
            assert_eq!(report.encode(), padded(record), "{report:?}");
        }
    }
}

/// What is too long for a record: the loader's answer, a service's keys, lists and targets. What is
/// understood can be written, and is the same then.
pub(super) fn files(bytes: &[u8]) {
    let (kind, bytes) = bytes.split_first().unwrap_or((&0, b""));
    match kind % 4 {
        0 => {
            if let Ok(answer) = loader::read(file(bytes)) {
                let pass = |answer: &Answer| -> Answer {
                    let written = serde_json::to_vec(answer).expect("an answer");
                    serde_json::from_slice(&written).expect("the same")
                };
                // What no service names is left out.
                let named = pass(&answer);
                assert_eq!(pass(&named), named);
            }
        }
        1 => {
            if let Ok(keys) = Keys::from_file(file(bytes)) {
                let again = Keys::from_file(keys.to_file().expect("a file")).expect("the same");
                assert_eq!(again, keys);
            }
        }
        2 => {
            if let Ok(found) = list_from_file(file(bytes)) {
                look(&found);
            }
        }
        _ => {
            if let Ok(route) = Route::from_file(file(bytes)) {
                let again = route.to_file().expect("a file");
                assert_eq!(Route::from_file(again).expect("the same"), route);
            }
        }
    }
}

/// The packed prefixes of a list, which travel as text: six parts, each after a byte with its length.
pub(super) fn list(bytes: &[u8]) {
    let mut rest = bytes;
    let mut part = || {
        let (length, after) = rest.split_first().unwrap_or((&0, b""));
        let (part, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        base64(part)
    };
    let mut parts = || {
        format!(
            r#"{{"v4":"{}","v6":"{}","users":"{}"}}"#,
            part(),
            part(),
            part()
        )
    };
    let (access, exempt) = (parts(), parts());
    let json = format!(r#"{{"files":["f"],"closed":true,"access":{access},"exempt":{exempt}}}"#);
    if let Ok(found) = list_from_file(file(json.as_bytes())) {
        look(&found);
    }
}

/// It can be asked about anyone, and be written and read again.
fn look(list: &Acl) {
    for ip in ["0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "fe80::1"] {
        let judgement = list.judge(Client::Ip(ip.parse().expect("an address")));
        assert_eq!(judgement.exempt, judgement.exempt_by.is_some());
    }
    for uid in [0, 1000, u32::MAX] {
        let _ = list.judge(Client::Uid(uid));
    }
    let again = list_from_file(list_to_file(list).expect("a file")).expect("the same");
    assert_eq!(again, *list);
}

/// Without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..=chunk.len() {
            out.push(DIGITS[(bits >> (18 - 6 * n)) as usize & 63] as char);
        }
    }
    out
}

fn padded(bytes: &[u8]) -> [u8; LENGTH] {
    let mut record = [0; LENGTH];
    let length = bytes.len().min(LENGTH);
    record[..length].copy_from_slice(&bytes[..length]);
    record
}

fn file(bytes: &[u8]) -> OwnedFd {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("its bytes");
    file.rewind().expect("its start");
    file.into()
}
