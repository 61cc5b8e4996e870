//! Built-in services on the wire, byte for byte, and clients that misuse them.

use super::super::table::{Service, Table};
use super::super::world::{Found, Kind, World};
use super::{Case, Scenario, ensure};
use crate::harness::Directory;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        kind: Kind::Clean,
        table: all,
        cases: &[
            Case::new(
                "daytime: one line in the form of ctime, CR LF",
                &["daytime"],
                |world| is_daytime(&world.connect("daytime")?.read_all()?),
            ),
            Case::new("daytime/udp: the same", &["daytime/udp"], |world| {
                is_daytime(&world.datagrams(0, "daytime/udp")?.ask("?")?)
            }),
            Case::new("time: four bytes", &["time"], |world| {
                is_time(&world.connect("time")?.read_all()?)
            }),
            Case::new("time/udp: four bytes", &["time/udp"], |world| {
                is_time(&world.datagrams(0, "time/udp")?.ask("?")?)
            }),
            Case::new(
                "echo: all bytes, and those after the end of input",
                &["echo"],
                |world| {
                    let wire = world.connect("echo")?;
                    wire.send("a\0b\r\n")?.expect("a\0b\r\n")?;
                    wire.send("last")?.half_close()?;
                    ensure(wire.read_all()? == b"last", "other bytes")
                },
            ),
            Case::new("echo/udp: each datagram", &["echo/udp"], |world| {
                let client = world.datagrams(0, "echo/udp")?;
                ensure(client.ask("a\0b")? == b"a\0b", "other bytes")?;
                ensure(client.ask("c")? == b"c", "other bytes")
            })
            .varies(&[("xinetd", "the second is lost at times")]),
            Case::new(
                "discard: takes all, says nothing, and ends",
                &["discard"],
                |world| {
                    let wire = world.connect("discard")?;
                    wire.send(vec![b'x'; 200_000])?.half_close()?;
                    ensure(wire.read_all()?.is_empty(), "it answers")
                },
            ),
            Case::new(
                "discard/udp: says nothing",
                &["discard/udp", "echo/udp"],
                |world| {
                    let client = world.datagrams(0, "discard/udp")?;
                    client.send("x")?;
                    // Whatever it would have said has come before this answer.
                    world.datagrams(0, "echo/udp")?.ask("y")?;
                    ensure(client.is_silent(), "it answers")
                },
            ),
            Case::new("chargen: the lines of RFC 864", &["chargen"], |world| {
                let found = world.connect("chargen")?.read_exactly(2 * 74)?;
                is_pattern(&found)
            }),
            Case::new(
                "chargen/udp: characters of that pattern",
                &["chargen/udp"],
                |world| {
                    let found = world.datagrams(0, "chargen/udp")?.ask([b'x'; 512])?;
                    let is_right =
                        |byte: &u8| (b' '..=b'~').contains(byte) || b"\r\n".contains(byte);
                    ensure(
                        !found.is_empty() && found.iter().all(is_right),
                        "other bytes",
                    )?;
                    ensure(found.len() <= 512, format!("{} bytes", found.len()))
                },
            ),
            Case::new(
                "echo: served beside a client of chargen that never reads",
                &["echo", "chargen"],
                |world| {
                    let stuck = world.connect("chargen")?;
                    stuck.read_exactly(1)?;
                    for _ in 0..5 {
                        world.connect("echo")?.send("x")?.expect("x")?;
                    }
                    Ok(())
                },
            ),
            Case::new(
                "echo: a client that does not read stops nobody",
                &["echo"],
                |world| {
                    let deaf = world.connect("echo")?;
                    // More than fits on the way there and back.
                    deaf.be_patient(std::time::Duration::from_millis(100));
                    let _ = deaf.send(vec![b'x'; 20_000_000]);
                    world.connect("echo")?.send("x")?.expect("x")?;
                    Ok(())
                },
            ),
        ],
    },
    Scenario {
        kind: Kind::Clean,
        table: all,
        cases: &[Case::new(
            "echo/udp: an empty datagram comes back, and the next one",
            &["echo/udp"],
            |world| {
                let client = world.datagrams(0, "echo/udp")?;
                let empty = client.ask("").map_err(|error| format!("empty: {error}"))?;
                ensure(empty == b"" && client.ask("a")? == b"a", "other bytes")
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: all,
        cases: &[Case::new(
            "chargen/udp: no more bytes than were sent",
            &["chargen/udp"],
            |world| {
                let length = world.datagrams(0, "chargen/udp")?.ask("x")?.len();
                ensure(length <= 1, format!("{length} bytes for one"))
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: all,
        cases: &[Case::new(
            "echo/udp: no answer to the port of another such service",
            &["echo/udp"],
            no_loop,
        )],
    },
];

fn all(_: &Directory) -> Table {
    let names = ["echo", "discard", "daytime", "chargen", "time"];
    let both = |name: &'static str| [false, true].map(|udp| Service::builtin(name, udp));
    Table::new(names.into_iter().flat_map(both).collect())
}

fn is_daytime(found: &[u8]) -> Found<()> {
    const FORM: &[u8] = b"Aaa Aaa dd dd:dd:dd dddd\r\n";
    let is_right = |(found, form): (&u8, &u8)| match form {
        b'A' => found.is_ascii_uppercase(),
        b'a' => found.is_ascii_lowercase(),
        b'd' => found.is_ascii_digit() || *found == b' ',
        other => found == other,
    };
    let right = found.len() == FORM.len() && found.iter().zip(FORM).all(is_right);
    let text = String::from_utf8_lossy(found);
    ensure(right, format!("{} bytes of another form", text.len()))
}

/// Seconds from 1900 to 1970.
const EPOCH: u64 = 2_208_988_800;

fn is_time(found: &[u8]) -> Found<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock").as_secs() + EPOCH;
    let bytes: [u8; 4] = found
        .try_into()
        .map_err(|_| format!("{} bytes", found.len()))?;
    let told = u32::from_be_bytes(bytes);
    // The number wraps in 2036.
    let apart = ((now as u32).wrapping_sub(told) as i32).unsigned_abs();
    ensure(apart < 60, "another time")
}

fn is_pattern(found: &[u8]) -> Found<()> {
    const RING: &str = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
    let ring = RING.repeat(2);
    let expected = format!("{}\r\n{}\r\n", &ring[0..72], &ring[1..73]);
    ensure(found == expected.as_bytes(), "other lines")
}

/// A datagram that seems to come from another echo service would be answered for ever.
fn no_loop(world: &mut World) -> Found<()> {
    let sibling = world.datagrams(7, "echo/udp")?;
    sibling.send("loop")?;
    // Whatever it would have said has come before this answer.
    let client = world.datagrams(0, "echo/udp")?;
    ensure(client.ask("x")? == b"x", "other bytes")?;
    ensure(sibling.is_silent(), "it answers")
}
