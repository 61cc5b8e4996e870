//! Relays whose client takes nothing of what is left for it.

use super::*;
use crate::control::{Route, Way};
use crate::sys::{Errno, pipe};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};

const IMPATIENT: Settings = Settings {
    patience: Duration::from_millis(300),
    ..SETTINGS
};

/// A program on pipes, as the test plays it: its client, which reads nothing, and the end that it
/// writes, which is full. Its standard input is closed.
fn blocked(it: &mut Supervised) -> (UnixStream, OwnedFd) {
    let (client, ours) = UnixStream::pair().unwrap();
    let (input, reads) = pipe::to_program().unwrap();
    let (output, writes) = pipe::from_program().unwrap();
    drop(reads);
    let order = Order::Attend {
        number: 7,
        way: Way::Pipes,
        newline: false,
    };
    let control = it.control.as_ref().unwrap();
    let descriptors = [ours.as_fd(), input.as_fd(), output.as_fd()];
    send_record(control.as_fd(), &order.encode(), &descriptors).unwrap();
    crate::sys::fd::set_nonblocking(writes.as_fd(), true).unwrap();
    let write = || pipe::write(writes.as_fd(), &[b'x'; 4096]) != Err(Errno::EAGAIN);
    fill(it, &writes, write);
    (client, writes)
}

/// Writes until nobody takes more for a while, although the worker has had its turn.
fn fill(it: &mut Supervised, full: &impl AsFd, mut write: impl FnMut() -> bool) {
    let mut poller = Poller::new(1).unwrap();
    poller.add(full, Interest::Write, 0).unwrap();
    let mut has_room = |pause| poller.wait(Some(pause)).unwrap().count() > 0;
    loop {
        while write() {}
        if !has_room(Duration::from_millis(200)) {
            it.have_turn();
            if !has_room(Duration::ZERO) {
                return;
            }
        }
    }
}

/// Why nothing more passes.
fn passed(it: &mut Supervised) -> (u64, Ending) {
    match it.next_report() {
        Report::Passed { number, ending, .. } => (number, ending),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_left_of_a_closed_pipe_is_kept_for_a_while_although_its_end_was_not_read() {
    let mut it = Supervised::start(IMPATIENT);
    let (_client, writes) = blocked(&mut it);
    drop(writes);
    assert_eq!(passed(&mut it), (7, Ending::IdleTimeout));
}

#[test]
fn so_it_is_when_the_program_has_ended_and_others_have_its_pipe() {
    let mut it = Supervised::start(IMPATIENT);
    let (_client, _writes) = blocked(&mut it);
    it.order(Order::Exited { number: 7 }, None);
    assert_eq!(passed(&mut it), (7, Ending::IdleTimeout));
    // One that is over, or was never there, is not looked for.
    it.order(Order::Exited { number: 7 }, None);
    it.order(Order::Cut { number: 8 }, None);
    let (_client, _writes) = blocked(&mut it);
    it.order(Order::Cut { number: 7 }, None);
    assert_eq!(passed(&mut it), (7, Ending::Killed));
}

#[test]
fn so_it_is_when_another_server_has_ended() {
    let mut it = Supervised::start(IMPATIENT);
    // Over TCP the end may wait behind what there is no room for.
    let target = UnixListener::bind(it.path(9)).unwrap();
    let route = Route {
        targets: vec![Address::Path(it.path(9))],
        ..Route::default()
    };
    let service = ServiceId(1);
    let file = route.to_file().unwrap();
    it.order(Order::Targets { service }, Some(&file));
    let listener = it.offer_work(Work::Redirect, Transport::Tcp, 10);
    let _client = connect(&listener);
    let (mut far, _) = target.accept().unwrap();
    far.set_nonblocking(true).unwrap();
    let near = far.try_clone().unwrap();
    fill(&mut it, &near, || far.write(&[b'x'; 65536]).is_ok());
    drop((far, near));
    assert!(matches!(it.next_report(), Report::Accepted { .. }));
    it.begun();
    let (_, _, _, ending) = it.ended();
    assert_eq!(ending, Ending::IdleTimeout);
}
