//! `log_address`: how much of a client the log shows.

use crate::harness::*;

#[test]
fn clients_are_shown_as_far_as_the_table_wishes() {
    let head = |address: &str| format!("[server]\nlog_address = \"{address}\"\n");
    let server = server()
        .table(&head("prefix"))
        .service("program", "command = [\"/bin/true\"]")
        .service("builtin", "builtin = \"daytime\"")
        .service(
            "broken",
            "command = [\"/bin/true\"]\ndirectory = \"/nonexistent\"",
        )
        .start();
    let check = |peer: &str| {
        let mark = server.log().mark();
        for service in ["program", "builtin", "broken"] {
            server.connect(service).half_close().read_all();
        }
        // A start and an end each of two, and a failure.
        server.log().wait_until(|lines| {
            let about = |line: &&Line| line.field("peer").is_some();
            lines[mark..].iter().filter(about).count() == 5
        });
        let lines = server.log().lines();
        let peers = lines[mark..].iter().filter_map(|line| line.field("peer"));
        assert_eq!(peers.collect::<Vec<_>>(), [peer; 5]);
    };
    check("127.0.0.0/24");
    server.reload_with(&server.table().replace(&head("prefix"), &head("none")));
    check("-");
}
