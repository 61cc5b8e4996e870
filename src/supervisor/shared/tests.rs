//! Whose number is whose, and what is shared, as services come and go.

use super::*;
use crate::config::{Host, load_text};
use std::collections::BTreeMap;

fn table(text: &str) -> Table {
    // A table has a service at least.
    let text = format!("{text}[service.z]\nlisten = 1\nbuiltin = \"echo\"\n");
    load_text("t.toml", &text, &Host::of_root()).unwrap().table
}

fn service(name: &str, user: u32, allow: &str) -> String {
    format!(
        "[service.{name}]\nlisten = \"unix:/{name}\"\ncommand = [\"/bin/true\"]\nuser = {user}\ngroup = {user}\nallow = [\"{allow}\"]\n"
    )
}

/// What is shared, and kinds by the name of their service.
#[derive(Default)]
struct InForce {
    shared: Shared,
    kinds: BTreeMap<String, Rc<Kind>>,
}

impl InForce {
    /// Puts services in force; some that are there go.
    fn change(&mut self, text: &str, gone: &[&str]) {
        let mut table = table(text);
        let kinds = self.kinds.values().cloned().collect();
        self.shared.take_from(&mut table, kinds);
        for service in table.services {
            self.kinds.insert(service.name.into(), service.kind);
        }
        self.kinds.retain(|name, _| !gone.contains(&name.as_str()));
        let kinds = self.kinds.values().cloned().collect();
        self.shared.keep(&kinds);
    }

    fn number(&self, name: &str) -> u32 {
        match &self.kinds[name].action {
            Action::Exec(program) => program.identity,
            _ => unreachable!(),
        }
    }

    fn uid(&self, name: &str) -> u32 {
        self.shared.identity(self.number(name)).unwrap().uid
    }

    fn list(&self, name: &str) -> Rc<Acl> {
        let policy = self.shared.policy(self.kinds[name].rules);
        policy.acl.clone().unwrap()
    }
}

#[test]
fn each_keeps_its_user_and_a_number_that_is_free_is_used_again() {
    let mut all = InForce::default();
    all.change(
        &(service("a", 1001, "10.0.0.0/8") + &service("b", 1002, "10.0.0.0/8")),
        &[],
    );
    let first = all.number("a");
    all.change("", &["a"]);
    assert!(all.shared.identity(first).is_none());
    assert_eq!(all.uid("b"), 1002);
    all.change(&service("c", 1003, "10.0.0.0/8"), &[]);
    assert_eq!((all.uid("b"), all.uid("c")), (1002, 1003));
    assert_eq!(all.number("c"), first);
    all.change(&service("d", 1002, "10.0.0.0/8"), &[]);
    assert_eq!(all.number("d"), all.number("b"));
}

#[test]
fn what_is_the_same_stays_shared() {
    let mut all = InForce::default();
    let text = service("a", 1001, "10.0.0.0/8");
    all.change(&text, &[]);
    all.change(&text.replace("/a", "/b").replace(".a]", ".b]"), &[]);
    assert!(Rc::ptr_eq(&all.kinds["a"], &all.kinds["b"]));
    all.change(&service("c", 1002, "10.0.0.0/8"), &[]);
    assert!(Rc::ptr_eq(&all.list("a"), &all.list("c")));
    all.change(&service("d", 1002, "10.0.0.0/9"), &[]);
    assert_ne!(all.list("a"), all.list("d"));
}

#[test]
fn a_list_on_another_line_is_another() {
    let mut all = InForce::default();
    all.change(&service("a", 1001, "10.0.0.0/8"), &[]);
    let below = format!("\n{}", service("b", 1001, "10.0.0.0/8"));
    all.change(&below, &[]);
    assert_eq!(all.list("a"), all.list("b"));
    assert!(!Rc::ptr_eq(&all.list("a"), &all.list("b")));
}

#[test]
fn lists_that_nobody_has_are_forgotten() {
    let mut all = InForce::default();
    all.change(&service("a", 1001, "10.0.0.0/8"), &[]);
    let list = Rc::downgrade(&all.list("a"));
    all.change("", &["a"]);
    assert!(list.upgrade().is_none());
}
