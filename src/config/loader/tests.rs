//! The journey of a table: what travels, and that it arrives.

use super::*;
use crate::config::{Host, load_text};
use crate::table::Table;

#[test]
fn an_answer_is_read_back_from_the_start_of_its_file() {
    let mut file = tempfile::tempfile().unwrap();
    let answer = Answer::Mistakes(vec!["a \"b\"\n".into()]);
    file.write_all(&serde_json::to_vec(&answer).unwrap())
        .unwrap();
    assert_eq!(read(file.into()).unwrap(), answer);
}

#[test]
fn digests_are_read_back() {
    let file = write_digests(&[1, u64::MAX]).unwrap();
    assert_eq!(read_digests(&mut File::from(file)).unwrap(), [1, u64::MAX]);
    assert!(read_digests(&mut io::empty()).unwrap().is_empty());
}

#[test]
fn half_an_answer_is_an_error() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"{\"Mistakes\":[").unwrap();
    assert!(read(file.into()).is_err());
    assert!(read(tempfile::tempfile().unwrap().into()).is_err());
}

fn table(text: &str) -> Table {
    load_text("t.toml", text, &Host::of_root()).unwrap().table
}

/// Three services: two of one kind, one with a list.
fn three(port: u16, allow: &str) -> String {
    format!(
        "[service.a]\nlisten = 1001\nbuiltin = \"echo\"\n\
         [service.b]\nlisten = {port}\nbuiltin = \"echo\"\n\
         [service.c]\nlisten = 1003\nbuiltin = \"time\"\nallow = [\"{allow}\"]\n"
    )
}

/// The names of what travels from one table to the next, and the places of what stays.
fn step(from: &str, to: &str) -> (Vec<String>, Vec<usize>) {
    let known = Difference::of(table(from), &[]).digests;
    let places: Vec<usize> = (0..known.len()).collect();
    let difference = Difference::of(table(to), &known);
    let written = serde_json::to_vec(&difference).unwrap();
    let difference: Difference = serde_json::from_slice(&written).unwrap();
    assert_eq!(difference.digests.len(), difference.table.services.len());
    let names = difference.table.services.iter();
    (
        names.map(|service| service.name.to_string()).collect(),
        difference.kept(&places).copied().collect(),
    )
}

#[test]
fn nothing_travels_of_the_same_table() {
    let text = three(1002, "10.0.0.0/8");
    assert_eq!(step(&text, &text), (vec![], vec![0, 1, 2]));
    let known = Difference::of(table(&text), &[]).digests;
    let written = serde_json::to_string(&Difference::of(table(&text), &known)).unwrap();
    let end = "\"identities\":[],\"acls\":[],\"rules\":[],\"kinds\":[],\"services\":[]},\
               \"digests\":[],\"kept\":[[0,3]]}";
    assert!(written.ends_with(end), "{written}");
}

#[test]
fn what_is_new_or_changed_travels() {
    let text = three(1002, "10.0.0.0/8");
    let moved = three(1004, "10.0.0.0/8");
    assert_eq!(step(&text, &moved), (vec!["b".into()], vec![0, 2]));
    let listed = three(1002, "10.0.0.0/9");
    assert_eq!(step(&text, &listed), (vec!["c".into()], vec![0, 1]));
    let more = format!("{text}[service.d]\nlisten = 1005\nbuiltin = \"echo\"\n");
    assert_eq!(step(&text, &more), (vec!["d".into()], vec![0, 1, 2]));
    assert_eq!(step(&more, &text), (vec![], vec![0, 1, 2]));
}

#[test]
fn a_list_on_other_lines_travels_since_it_tells_of_them() {
    let text = three(1002, "10.0.0.0/8");
    let below = format!("# A comment.\n{text}");
    assert_eq!(step(&text, &below), (vec!["c".into()], vec![0, 1]));
}

#[test]
fn an_index_that_shifts_is_no_change() {
    let program = |name: &str, user: &str| {
        format!(
            "[service.{name}]\nlisten = \"unix:/{name}\"\ncommand = [\"/bin/true\"]\nuser = {user}\ngroup = {user}\n"
        )
    };
    let last = program("z", "2");
    let both = program("a", "1") + &last;
    assert_eq!(step(&both, &last), (vec![], vec![1]));
    let other = program("z", "3");
    assert_eq!(step(&both, &other), (vec!["z".into()], vec![]));
}

#[test]
fn places_that_nobody_knows_are_none() {
    let text = three(1002, "10.0.0.0/8");
    let written = serde_json::to_string(&Difference::of(table(&text), &[])).unwrap();
    let written = written.replace("\"kept\":[]", "\"kept\":[[1,1],[2,4294967295],[9,1]]");
    let difference: Difference = serde_json::from_str(&written).unwrap();
    assert_eq!(difference.kept(&[0, 1, 2]).collect::<Vec<_>>(), [&1]);
}
