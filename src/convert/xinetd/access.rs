//! Who gets in: `only_from` and `no_access`, and what hosts.allow and hosts.deny say.

use super::super::draft::Value;
use super::super::hosts;
use super::super::sets::Set;
use super::super::writer::Writer;
use super::addresses;
use super::service::Service;

impl Service<'_> {
    /// `only_from`, `no_access`, and hosts.allow and hosts.deny.
    pub(super) fn access(&self, w: &mut Writer) {
        let (mut only, mut except) = (Set::everybody(), Set::default());
        let (mut place, mut knobs) = (self.section.place.clone(), Vec::new());
        for name in ["only_from", "no_access"] {
            let Some(it) = self.settings.get(name) else {
                continue;
            };
            // Without values only_from lets nobody in, and no_access refuses nobody.
            let mut set = Set::default();
            for value in &it.values {
                match addresses::read(value) {
                    Ok(found) => set = set.union(&found),
                    Err(words) => w.lost(&it.place, name, &words),
                }
                if value == "localhost" {
                    w.changed(&it.place, name, "localhost is written as 127.0.0.1 and ::1");
                }
            }
            match name {
                "only_from" => only = set,
                _ => except = set,
            }
            place.clone_from(&it.place);
            knobs.push(name.to_owned());
        }
        self.ask_hosts(w, &mut except, &mut knobs);
        if !knobs.is_empty() {
            w.let_in(&place, &knobs.join(", "), &only, &except);
        }
    }

    /// An xinetd with tcp_wrappers, as distributions build it, asks about every service.
    fn ask_hosts(&self, w: &mut Writer, except: &mut Set, knobs: &mut Vec<String>) {
        if self.has("flags", "NOLIBWRAP") {
            return;
        }
        let argv0 = match w.draft.get("argv0") {
            Some(Value::Text(argv0)) => argv0.clone(),
            _ => self.section.name.clone(),
        };
        let base = hosts::base(&argv0);
        let daemon = self.settings.one("libwrap").unwrap_or(base);
        let place = self.place("libwrap").to_owned();
        let is_tcpd = self.settings.one("server").map(hosts::is_tcpd) == Some(true);
        if is_tcpd && daemon == base {
            return w.kept(
                &place,
                "libwrap",
                "tcpd is the program, and goes on asking hosts.allow and hosts.deny",
            );
        }
        let refused = hosts::refused(w, self.hosts, daemon, &place);
        if !refused.is_empty() {
            *except = except.union(&refused);
            knobs.push(hosts::knob(daemon));
        }
    }
}
