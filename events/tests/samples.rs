//! Golden samples: events as they were written, one file or more for each version of each type there ever was. They stand
//! for the logs of every company: whatever changes in this crate, these files must still be read, and what is written
//! today must still be written the same, byte for byte. A sample of a released version is never edited.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use dealog_events::{
    Cause, CommandId, Envelope, Event, EventType, Object, Position, ReadError, StreamId, Version, event_types,
    interpret,
};
use jsonschema::Validator;
use serde_json::{Map, Value};
use uuid::Uuid;

/// One file of `samples/`.
struct Sample {
    file: String,
    envelope: Envelope,
    /// The whole file without the white space between its tokens.
    text: String,
}

impl Sample {
    fn data(&self) -> Value {
        serde_json::from_str(&self.envelope.data).unwrap()
    }

    fn event_type(&self) -> &'static EventType {
        event_types()
            .find(|known| known.name == self.envelope.event_type)
            .unwrap_or_else(|| panic!("{}: no such event type", self.file))
    }

    fn is_present(&self) -> bool {
        self.event_type().schema == self.envelope.schema
    }

    fn interpret(&self, data: &Value) -> Result<Event, ReadError> {
        interpret(&self.envelope.event_type, self.envelope.schema, &object(&data.to_string()))
    }
}

/// JSON text without the white space between its tokens. The tokens and their order stay as they are, which parsing and
/// writing would not promise.
fn minified(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|&c| {
            if in_string {
                in_string = escaped || c != '"';
                escaped = c == '\\' && !escaped;
                return true;
            }
            in_string = c == '"';
            !c.is_ascii_whitespace()
        })
        .collect()
}

/// The envelope in `text`. `data` is cut from the text itself, being its last field.
fn envelope(text: &str) -> Envelope {
    let fields: Map<String, Value> = serde_json::from_str(text).unwrap();
    let string = |name: &str| fields[name].as_str().unwrap_or_else(|| panic!("{name} is a string"));
    let number = |name: &str| fields[name].as_u64().unwrap_or_else(|| panic!("{name} is a whole number"));
    let uuid = |name: &str| string(name).parse::<Uuid>().unwrap();
    let (_, data) = text.split_once(r#""data":"#).expect("data");
    Envelope {
        position: Position(number("position")),
        event_id: uuid("event_id"),
        stream: string("stream").parse().unwrap(),
        version: Version(number("version")),
        event_type: string("type").into(),
        schema: u16::try_from(number("schema")).unwrap(),
        occurred_at: string("occurred_at").parse().unwrap(),
        recorded_at: string("recorded_at").parse().unwrap(),
        command_id: CommandId(uuid("command_id")),
        cause: Cause {
            actor: string("actor").parse().unwrap(),
            correlation_id: uuid("correlation_id"),
            causation_id: (!fields["causation_id"].is_null()).then(|| uuid("causation_id")),
        },
        data: object(data.strip_suffix('}').expect("data is the last field")),
    }
}

fn object(text: &str) -> Object {
    text.to_owned().try_into().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn samples() -> Vec<Sample> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut samples: Vec<Sample> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = minified(&fs::read_to_string(&path).unwrap());
            Sample { file, envelope: envelope(&text), text }
        })
        .collect();
    samples.sort_by(|a, b| a.file.cmp(&b.file));
    assert!(!samples.is_empty());
    samples
}

fn present_samples() -> impl Iterator<Item = Sample> {
    samples().into_iter().filter(Sample::is_present)
}

/// The schema of a sample's data, as checked in.
fn validator(sample: &Sample) -> Validator {
    let name = format!("{}.v{}.json", sample.envelope.event_type, sample.envelope.schema);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Every object in `value`, as a JSON pointer.
fn objects(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: String, found: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(key, child)| (key.clone(), child)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect(),
            _ => return,
        };
        for (key, child) in children {
            walk(child, format!("{at}/{key}"), found);
        }
        if value.is_object() {
            found.push(at);
        }
    }
    let mut found = Vec::new();
    walk(value, String::new(), &mut found);
    found
}

fn object_at<'a>(data: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    data.pointer_mut(pointer).unwrap().as_object_mut().unwrap()
}

/// Fields that the company defines: the one place where any name is right and none is needed.
fn is_open(pointer: &str) -> bool {
    pointer == "/fields"
}

#[track_caller]
fn assert_data_error(outcome: Result<Event, ReadError>, expected: &str, what: &str) {
    match outcome {
        Err(ReadError::Data { source, .. }) => {
            assert!(source.to_string().contains(expected), "{what}: the message is `{source}`");
        }
        other => panic!("{what}: refused as unfit data was expected, not {other:?}"),
    }
}

#[test]
fn every_version_of_every_event_type_has_a_sample() {
    let sampled: BTreeSet<(String, u16)> =
        samples().into_iter().map(|sample| (sample.envelope.event_type, sample.envelope.schema)).collect();
    for event_type in event_types() {
        for schema in 1..=event_type.schema {
            let name = event_type.name;
            assert!(sampled.contains(&(name.to_owned(), schema)), "write samples/{name}.v{schema}.json");
        }
    }
}

#[test]
fn every_field_of_every_event_type_is_filled_in_by_a_sample() {
    let samples: Vec<Sample> = present_samples().collect();
    for event_type in event_types() {
        let filled: BTreeSet<String> = samples
            .iter()
            .filter(|sample| sample.envelope.event_type == event_type.name)
            .flat_map(|sample| sample.data().as_object().unwrap().clone())
            .filter(|(_, value)| {
                !value.is_null() && *value != Value::Array(vec![]) && *value != Value::Object(Map::new())
            })
            .map(|(field, _)| field)
            .collect();
        let schema = serde_json::to_value((event_type.json_schema)()).unwrap();
        let forms = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        for (field, of) in forms.iter().filter_map(|form| form["properties"].as_object()).flatten() {
            let always_null = of["type"] == "null";
            assert!(always_null || filled.contains(field), "{}: no sample fills in `{field}`", event_type.name);
        }
    }
}

#[test]
fn a_sample_is_named_after_its_type_and_schema_version() {
    for sample in samples() {
        let expected = format!("{}.v{}.", sample.envelope.event_type, sample.envelope.schema);
        let variant = sample.file.strip_prefix(&expected).unwrap_or_else(|| panic!("{} is misnamed", sample.file));
        let fit = variant.strip_suffix("json").is_some_and(|variant| variant.is_empty() || variant.ends_with('.'));
        assert!(fit, "{} is misnamed", sample.file);
    }
}

#[test]
fn every_sample_ever_written_is_still_read_into_an_event_of_its_stream() {
    for sample in samples() {
        let event = sample.envelope.event().unwrap_or_else(|error| panic!("{}: {error}", sample.file));
        assert_eq!(event.event_type(), (sample.event_type().name, sample.event_type().schema), "{}", sample.file);
        assert_eq!(event.category(), sample.envelope.stream.category(), "{}", sample.file);
    }
}

#[test]
fn data_is_written_again_byte_for_byte() {
    for sample in present_samples() {
        let written = sample.envelope.event().unwrap().to_json().unwrap();
        assert_eq!(written, *sample.envelope.data, "{}", sample.file);
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), sample.data(), "{}", sample.file);
    }
}

#[test]
fn an_envelope_is_written_for_readers_byte_for_byte() {
    for sample in present_samples() {
        assert_eq!(serde_json::to_string(&sample.envelope).unwrap(), sample.text, "{}", sample.file);
    }
}

#[test]
fn an_event_of_an_older_version_is_written_for_readers_in_the_present_one() {
    for sample in samples().into_iter().filter(|sample| !sample.is_present()) {
        let written = serde_json::to_value(&sample.envelope).unwrap();
        assert_eq!(written["schema"], sample.event_type().schema, "{}", sample.file);
    }
}

#[test]
fn data_is_valid_by_the_json_schema_of_its_version() {
    for sample in samples() {
        let faults: Vec<String> =
            validator(&sample).iter_errors(&sample.data()).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{}: {faults:?}", sample.file);
    }
}

#[test]
fn an_event_id_is_derived_from_its_command_and_its_place_in_it() {
    for sample in samples() {
        let Envelope { command_id, event_id, .. } = sample.envelope;
        assert!((0..4).any(|index| command_id.gives(event_id, index)), "{}", sample.file);
    }
    let command = CommandId("0192f3a4-5b6c-7d8e-9f00-112233445566".parse().unwrap());
    assert_eq!(command.event_id(0).to_string(), "e184f9b3-4346-8dee-9c86-958b9c9de3e8");
    assert_eq!(command.event_id(1).to_string(), "db35db88-119d-8307-87a4-57922db61b69");
}

#[test]
fn the_samples_show_every_kind_of_actor_and_stream() {
    let kinds = |of: fn(&Envelope) -> String, separator| -> BTreeSet<String> {
        samples().iter().map(|sample| of(&sample.envelope).split(separator).next().unwrap().to_owned()).collect()
    };
    let actors = kinds(|envelope| envelope.cause.actor.to_string(), ':');
    assert_eq!(actors, ["import", "local", "rule", "service", "user"].map(String::from).into());
    let streams = kinds(|envelope| envelope.stream.to_string(), '-');
    assert_eq!(streams, ["customer", "deal", "pipeline", "settings", "team", "user"].map(String::from).into());
}

#[test]
fn an_unknown_field_is_refused_wherever_it_stands() {
    for sample in present_samples() {
        let validator = validator(&sample);
        for pointer in objects(&sample.data()).into_iter().filter(|pointer| !is_open(pointer)) {
            let mut data = sample.data();
            object_at(&mut data, &pointer).insert("surprise".into(), Value::from(1));
            let what = format!("{} with {pointer}/surprise", sample.file);
            assert_data_error(sample.interpret(&data), "unknown field `surprise`", &what);
            assert!(!validator.is_valid(&data), "{what}: its JSON Schema lets it pass");
        }
    }
}

/// Whether an object has only the members that changed: there, null is a value, and an absent member is none.
fn says_what_changed(sample: &Sample, pointer: &str) -> bool {
    sample.envelope.event_type == "deal.closing_corrected" && ["/from", "/to"].contains(&pointer)
}

#[test]
fn a_missing_field_is_refused_unless_it_may_be_empty_and_then_it_means_empty() {
    let mut refused = 0;
    for sample in present_samples() {
        let validator = validator(&sample);
        for pointer in objects(&sample.data()).into_iter().filter(|pointer| !is_open(pointer)) {
            let fields: Vec<String> = object_at(&mut sample.data(), &pointer).keys().cloned().collect();
            for field in fields {
                let mut data = sample.data();
                object_at(&mut data, &pointer).shift_remove(&field);
                let what = format!("{} without {pointer}/{field}", sample.file);
                if validator.is_valid(&data) {
                    let without = sample.interpret(&data).unwrap_or_else(|error| panic!("{what}: {error}"));
                    if says_what_changed(&sample, &pointer) {
                        continue;
                    }
                    let may_stand_for = [Value::Null, Value::Array(vec![])].map(|empty| {
                        object_at(&mut data, &pointer).insert(field.clone(), empty);
                        sample.interpret(&data).ok()
                    });
                    assert!(may_stand_for.contains(&Some(without)), "{what}: it does not mean empty");
                } else {
                    assert_data_error(sample.interpret(&data), &format!("missing field `{field}`"), &what);
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 100, "only {refused} fields are needed anywhere");
}

#[test]
fn a_value_of_the_wrong_kind_is_refused() {
    for sample in present_samples() {
        for field in sample.data().as_object().unwrap().keys() {
            let mut data = sample.data();
            object_at(&mut data, "").insert(field.clone(), serde_json::json!([[7]]));
            assert_data_error(sample.interpret(&data), "", &format!("{} with [[7]] as {field}", sample.file));
        }
    }
}

#[test]
fn an_unknown_type_is_refused_by_name() {
    for unknown in ["deal.vanished", "pipeline.", "robot.created", "created", "", "Deal.created", "deal.created "] {
        match interpret(unknown, 1, &object("{}")) {
            Err(ReadError::UnknownType(named)) => assert_eq!(named, unknown),
            other => panic!("`{unknown}` gave {other:?}"),
        }
    }
}

#[test]
fn an_unknown_schema_version_is_refused_with_the_known_one() {
    for event_type in event_types() {
        for unknown in [0, event_type.schema + 1, u16::MAX] {
            match interpret(event_type.name, unknown, &object("{}")) {
                Err(ReadError::UnknownSchema { event_type: named, known, found }) => {
                    assert_eq!((named.as_str(), known, found), (event_type.name, event_type.schema, unknown));
                }
                other => panic!("{} v{unknown} gave {other:?}", event_type.name),
            }
        }
    }
}

#[test]
fn an_envelope_that_cannot_be_interpreted_is_not_written_for_readers() {
    let mut envelope = samples().remove(0).envelope;
    envelope.stream = StreamId::Settings;
    envelope.event_type = "settings.unheard_of".into();
    let error = serde_json::to_string(&envelope).unwrap_err().to_string();
    assert!(error.contains("`settings.unheard_of` is not known"), "{error}");
}
