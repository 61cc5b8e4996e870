//! What clients are sent by xinetd itself, each the text of a file: `banner` all of them, then
//! `banner_success` those who get in, `banner_fail` those who do not. A file that cannot be read is
//! nothing to send, as for xinetd.

use super::super::draft::Value;
use super::super::writer::Writer;
use super::service::Service;
use super::settings::Setting;
use std::path::Path;

/// What `banner` and `refusal` may have at most, in bytes.
const LONGEST: [(&str, usize); 2] = [("banner", 2048), ("refusal", 512)];

impl Service<'_> {
    /// The texts as `banner` and `refusal`.
    pub(super) fn banners(&self, w: &mut Writer) {
        for ((key, most), own) in LONGEST.into_iter().zip(["banner_success", "banner_fail"]) {
            let found: Vec<(&Setting, &str, String)> = ["banner", own]
                .into_iter()
                .filter_map(|name| self.text_of(w, name, key))
                .collect();
            let text: String = found.iter().map(|(.., text)| text.as_str()).collect();
            let why_not = match text.len() {
                _ if w.waits() => Some("the program takes its clients itself".to_owned()),
                _ if key == "banner" && !w.draft.has_program() => {
                    Some("only a program can have a banner".to_owned())
                }
                length if length > most => Some(format!(
                    "{key} has {most} bytes at most, and the text {length}"
                )),
                _ => None,
            };
            for (setting, name, _) in &found {
                let file = first(setting);
                match &why_not {
                    Some(why_not) => w.dropped(&setting.place, name, why_not),
                    None => w.kept(&setting.place, name, format!("{key} = the text of {file}")),
                }
            }
            if why_not.is_none() && !text.is_empty() {
                let text = match key {
                    "refusal" => text.replace('%', "%%"),
                    _ => text,
                };
                w.draft.set(key, Value::text(text));
            }
        }
    }

    /// The text of the file that an attribute names.
    fn text_of<'n>(
        &self,
        w: &mut Writer,
        name: &'n str,
        key: &str,
    ) -> Option<(&Setting, &'n str, String)> {
        let setting = self.settings.get(name)?;
        let file = first(setting);
        match self.files.read(Path::new(file)) {
            Ok(text) => Some((setting, name, text)),
            Err(reason) => {
                let words = format!("cannot read {file}: {reason}; write its text as {key}");
                w.dropped(&setting.place, name, words);
                None
            }
        }
    }
}

fn first(setting: &Setting) -> &str {
    setting.values.first().map_or("", String::as_str)
}
