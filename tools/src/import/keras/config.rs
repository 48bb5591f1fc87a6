//! What a model's configuration says, read without trust.

use crate::import::{Cause, Unsupported};
use serde_json::{Map, Value};

/// Bytes of a name, of which a layer that lies deep has some.
const MAX_NAME: usize = 512;

/// A layer, or a model that is one, as the configuration has it.
#[derive(Clone, Copy)]
pub(super) struct LayerConfig<'c> {
    pub class: &'c str,
    pub name: &'c str,
    pub config: &'c Map<String, Value>,
    /// Its layers, if it is a model.
    pub layers: Option<&'c [Value]>,
    /// What each call reads.
    pub inbound: &'c [Value],
    /// What `build` was told.
    pub built: Option<&'c Value>,
}

/// Something that cannot be read as what it should be.
fn expected(what: &str, expected: &str, got: Option<&Value>) -> Cause {
    let got = got.map_or_else(|| "nothing".into(), short);
    Cause::damaged(what, format!("expected {expected}, got {got}"))
}

/// A value for an error, cut short.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

pub(super) fn object<'c>(value: Option<&'c Value>, what: &str) -> Result<&'c Map<String, Value>, Cause> {
    value.and_then(Value::as_object).ok_or_else(|| expected(what, "an object", value))
}

pub(super) fn list<'c>(value: Option<&'c Value>, what: &str) -> Result<&'c [Value], Cause> {
    value.and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| expected(what, "a list", value))
}

impl<'c> LayerConfig<'c> {
    pub fn new(value: &'c Value) -> Result<LayerConfig<'c>, Cause> {
        let whole = object(Some(value), "layer")?;
        let class = whole.get("class_name").and_then(Value::as_str);
        let class = class.ok_or_else(|| expected("layer, class_name", "a text", whole.get("class_name")))?;
        // Before Keras 2.3 that of a sequential model was a list.
        let (config, layers) = match whole.get("config") {
            Some(Value::Array(layers)) => (whole, Some(&layers[..])),
            config => {
                let config = object(config, class)?;
                (config, config.get("layers").and_then(Value::as_array).map(Vec::as_slice))
            }
        };
        let name = [whole.get("name"), config.get("name")].into_iter().flatten().find_map(Value::as_str);
        let name = name.unwrap_or(class);
        // They are put together, and compared with each other.
        if name.len() > MAX_NAME || class.len() > MAX_NAME {
            return Err(Cause::damaged("layer", format!("a name or class of more than {MAX_NAME} bytes")));
        }
        Ok(LayerConfig {
            class,
            name,
            config,
            layers,
            inbound: whole.get("inbound_nodes").and_then(Value::as_array).map_or(&[], Vec::as_slice),
            built: whole.get("build_config").and_then(|built| built.get("input_shape")),
        })
    }

    /// Its layers, if it is a model.
    pub fn children(&self) -> Result<Vec<LayerConfig<'c>>, Cause> {
        self.layers.unwrap_or(&[]).iter().map(LayerConfig::new).collect()
    }

    /// Whether training changes it.
    pub fn is_trainable(&self) -> bool {
        self.config.get("trainable").and_then(Value::as_bool).unwrap_or(true)
    }
}

/// Reads a layer's attributes, and collects what is wrong with them.
pub(super) struct Reader<'c> {
    pub layer: LayerConfig<'c>,
    pub problems: Vec<Unsupported>,
}

impl<'c> Reader<'c> {
    pub fn new(layer: LayerConfig<'c>) -> Reader<'c> {
        Reader { layer, problems: Vec::new() }
    }

    pub fn get(&self, key: &str) -> Option<&'c Value> {
        self.layer.config.get(key).filter(|value| !value.is_null())
    }

    /// The layer has what the engine has not.
    pub fn refuse(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        let (name, what, advice) = (self.layer.name.into(), what.into(), advice.into());
        self.problems.push(Unsupported { name, what: format!("{}: {what}", self.layer.class), advice });
    }

    fn wrong(&mut self, key: &str, expected: &str) {
        let got = self.get(key).map_or_else(|| "nothing".into(), short);
        self.refuse(format!("{key}: expected {expected}, got {got}"), "");
    }

    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.get(key).map(Value::as_bool) {
            None => default,
            Some(Some(flag)) => flag,
            Some(None) => {
                self.wrong(key, "true or false");
                default
            }
        }
    }

    pub fn number(&mut self, key: &str, default: f32) -> f32 {
        // Keras 3 writes numbers of NumPy and lists of one.
        match self.get(key).map(|value| value.as_f64().or_else(|| value.get("value")?.as_f64())) {
            None => default,
            Some(Some(number)) => number as f32,
            Some(None) => {
                self.wrong(key, "a number");
                default
            }
        }
    }

    pub fn size(&mut self, key: &str) -> usize {
        self.sizes::<1>(key, None)[0]
    }

    /// Sizes of as many dimensions; one number is that of all.
    pub fn sizes<const N: usize>(&mut self, key: &str, default: Option<[usize; N]>) -> [usize; N] {
        let size = |value: &Value| value.as_u64().and_then(|size| usize::try_from(size).ok());
        let found = match (self.get(key), default) {
            (None, Some(default)) => Some(default),
            (Some(Value::Array(sizes)), _) => {
                let sizes: Option<Vec<usize>> = sizes.iter().map(size).collect();
                sizes.and_then(|sizes| <[usize; N]>::try_from(sizes).ok())
            }
            (value, _) => value.and_then(size).map(|size| [size; N]),
        };
        found.unwrap_or_else(|| {
            self.wrong(key, if N == 1 { "a whole number" } else { "whole numbers of each dimension" });
            default.unwrap_or([1; N])
        })
    }

    pub fn text(&mut self, key: &str, default: &'c str) -> &'c str {
        match self.get(key).map(Value::as_str) {
            None => default,
            Some(Some(text)) => text,
            Some(None) => {
                self.wrong(key, "a text");
                default
            }
        }
    }

    /// A list of whole numbers, of which some may be negative; one is a list of one.
    pub fn integers(&mut self, key: &str, default: &[i64]) -> Vec<i64> {
        let found = match self.get(key) {
            None => Some(default.to_vec()),
            Some(Value::Array(list)) => list.iter().map(Value::as_i64).collect(),
            Some(one) => one.as_i64().map(|one| vec![one]),
        };
        found.unwrap_or_else(|| {
            self.wrong(key, "whole numbers");
            default.to_vec()
        })
    }

    /// An attribute that the engine has one value of.
    pub fn only(&mut self, key: &str, value: &Value, advice: &str) {
        if let Some(got) = self.get(key).filter(|got| *got != value) {
            self.refuse(format!("{key} is {}, expected {value}", short(got)), advice);
        }
    }
}
