//! The JSON schema of a table, for editors, from the list of keys.

use super::forms::form;
use oxinetd::config::keys::{Key, Part, keys_of};
use serde_json::{Map, Value, json};

/// The file.
pub(super) fn text() -> String {
    serde_json::to_string_pretty(&schema()).unwrap() + "\n"
}

/// The schema.
pub(super) fn schema() -> Value {
    let service = json!({
        "type": "object",
        "description": "A service.",
        "properties": properties(Part::Service),
        "additionalProperties": false,
        "required": ["listen"],
        "oneOf": [
            { "required": ["command"] },
            { "required": ["builtin"] },
            { "required": ["redirect"] }
        ],
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "services.toml",
        "description": "The table of oxinetd: see services.toml(5).",
        "type": "object",
        "properties": {
            "server": section(Part::Server, "What holds for the server."),
            "defaults": section(Part::Defaults, "What holds for every service that says nothing else."),
            "service": {
                "type": "object",
                "description": "The services, each under its name: [service.NAME].",
                "propertyNames": { "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$" },
                "additionalProperties": service,
            },
        },
        "additionalProperties": false,
    })
}

fn section(part: Part, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "properties": properties(part),
        "additionalProperties": false,
    })
}

fn properties(part: Part) -> Map<String, Value> {
    keys_of(part)
        .map(|key| (key.name.to_string(), property(key)))
        .collect()
}

fn property(key: &Key) -> Value {
    let mut form = form(key).unwrap_or_else(|| json!({}));
    let words = format!(
        "{}\n\nTakes: {}\n\nDefault: {}\n\nExample: {}",
        key.help, key.takes, key.default, key.example
    );
    form["description"] = json!(words);
    form
}
