//! `[Socket]`: every directive of systemd.socket(5).

use super::super::draft::Value;
use super::super::report::Fate;
use super::super::writer::Writer;
use super::unit::{Assignment, Unit, is_yes};

pub(super) fn write(w: &mut Writer, socket: &Unit, accept: bool) {
    listen(w, socket);
    for it in socket
        .assignments
        .iter()
        .filter(|it| it.section == "Socket")
    {
        directive(w, it, accept);
    }
    if accept && socket.last("Socket", "MaxConnections").is_none() {
        w.draft.set("max_connections", Value::Number(64));
        w.draft.set("when_full", Value::text("refuse"));
        w.kept(
            &w.draft.place.clone(),
            "MaxConnections",
            "max_connections = 64, systemd's default",
        );
    }
}

fn listen(w: &mut Writer, socket: &Unit) {
    let only_v6 = socket
        .last("Socket", "BindIPv6Only")
        .is_some_and(|it| it.value == "ipv6-only");
    let mut listen = Vec::new();
    for (key, unix, word) in [
        ("ListenStream", "unix:", "tcp"),
        ("ListenDatagram", "unix-dgram:", "udp"),
        ("ListenSequentialPacket", "unix-seqpacket:", ""),
    ] {
        for it in socket.all("Socket", key) {
            match address(&it.value, unix, word, only_v6) {
                Some(text) => {
                    w.kept(&it.place, key, format!("listen = {text}"));
                    listen.push(text);
                }
                None => w.lost(&it.place, key, format!("{} is not offered", it.value)),
            }
        }
    }
    if !listen.is_empty() {
        w.draft.set("listen", Value::Texts(listen));
    }
}

fn address(text: &str, unix: &str, word: &str, only_v6: bool) -> Option<String> {
    if text.starts_with(['/', '@']) {
        return Some(format!("{unix}{text}"));
    }
    if text.starts_with("vsock") || word.is_empty() {
        return None;
    }
    let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The wildcard of IPv6 takes IPv4 clients too, unless told otherwise.
    let port = is_port.then_some(text).or(text.strip_prefix("[::]:"));
    match port {
        Some(port) if only_v6 => Some(format!("{word}6:{port}")),
        Some(port) if word == "tcp" => Some(port.to_owned()),
        Some(port) => Some(format!("{word}:{port}")),
        None => match text.strip_prefix("0.0.0.0:") {
            Some(port) => Some(format!("{word}4:{port}")),
            // systemd writes the interface behind the port, too.
            None if text.contains("]:") && text.contains('%') && !text.starts_with("[fe80") => None,
            None if word == "tcp" => Some(text.to_owned()),
            None => Some(format!("{word}:{text}")),
        },
    }
}

fn directive(w: &mut Writer, it: &Assignment, accept: bool) {
    let (place, key, value) = (it.place.as_str(), it.key.as_str(), it.value.as_str());
    let number = || {
        value
            .parse::<i64>()
            .ok()
            .filter(|it| (1..=1_000_000).contains(it))
    };
    match key {
        _ if value.is_empty() => {}
        "ListenStream" | "ListenDatagram" | "ListenSequentialPacket" | "Service" => {}
        "IPAddressAllow" | "IPAddressDeny" => {}
        "ListenFIFO" | "ListenSpecial" | "ListenNetlink" | "ListenMessageQueue"
        | "ListenUSBFunction" => {
            w.lost(place, key, "there is no connection to hand over");
        }
        "Accept" => w.kept(
            place,
            key,
            if accept {
                "a program for each connection"
            } else {
                "wait = true"
            },
        ),
        "BindIPv6Only" => w.kept(
            place,
            key,
            "see listen; IPv4 clients have a socket of their own",
        ),
        "MaxConnections" if accept => match number() {
            Some(count) => {
                w.draft.set("max_connections", Value::Number(count));
                w.draft.set("when_full", Value::text("refuse"));
                w.kept(
                    place,
                    key,
                    format!("max_connections = {count}, when_full = refuse"),
                );
            }
            None => w.lost(place, key, "not a number that max_connections takes"),
        },
        "MaxConnectionsPerSource" if accept => match number() {
            Some(count) => {
                w.draft.set("max_per_source", Value::Number(count));
                w.kept(place, key, format!("max_per_source = {count}"));
            }
            None => w.kept(place, key, "no limit of its own"),
        },
        "MaxConnections" | "MaxConnectionsPerSource" => {
            w.dropped(place, key, "it is for Accept=yes")
        }
        "Backlog" => match number().filter(|it| *it <= 65535) {
            Some(count) => {
                w.draft.set("backlog", Value::Number(count));
                w.kept(place, key, format!("backlog = {count}"));
            }
            None => w.kept(place, key, "as many as the system allows"),
        },
        "KeepAlive" => {
            w.draft.set("keepalive", Value::Flag(is_yes(value)));
            w.kept(place, key, format!("keepalive = {}", is_yes(value)));
        }
        "NoDelay" => {
            w.draft.set("nodelay", Value::Flag(is_yes(value)));
            w.kept(place, key, format!("nodelay = {}", is_yes(value)));
        }
        "FreeBind" | "Transparent" if is_yes(value) => {
            w.draft.set("freebind", Value::Flag(true));
            let fate = if key == "FreeBind" {
                Fate::Kept
            } else {
                Fate::Changed
            };
            w.note(place, key, fate, "freebind = true");
        }
        "FreeBind" | "Transparent" => w.kept(place, key, "as where nothing is written"),
        "BindToDevice" => w.lost(
            place,
            key,
            "only clients of one interface came in: write its addresses as listen",
        ),
        "SocketUser" | "SocketGroup" | "SocketMode" | "DirectoryMode" => {
            w.lost(place, key, "who may connect to the Unix socket was decided by its owner and mode: write allow = \"uid:N\"");
        }
        "SmackLabel" | "SmackLabelIPIn" | "SmackLabelIPOut" | "SELinuxContextFromNet" => w.lost(
            place,
            key,
            "labels of the kernel's security modules are not set",
        ),
        "TriggerLimitIntervalSec"
        | "TriggerLimitBurst"
        | "PollLimitIntervalSec"
        | "PollLimitBurst" => {
            w.changed(
                place,
                key,
                "write rate, which makes clients wait and never closes the socket",
            );
        }
        _ => w.dropped(place, key, "there is nothing like it here"),
    }
}
