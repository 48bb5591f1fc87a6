use crate::draw::count;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// What was in a file, and what became of it.
///
/// As text it is for a person, by [`to_json`](Report::to_json) for a program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The format and its version: `"Keras 3"`, `"ONNX, opset 20"`.
    pub format: String,
    /// The program that wrote the file, as far as the file says.
    pub producer: Option<String>,
    /// How many operators or layers of each kind the file has.
    pub operators: BTreeMap<String, usize>,
    /// The model's inputs, in order.
    pub inputs: Vec<Port>,
    /// The model's outputs, in order.
    pub outputs: Vec<Port>,
    /// What was computed once and for all, a line each, which begins with a name.
    pub folded: Vec<String>,
    /// What became one layer with another, a line each.
    pub fused: Vec<String>,
    /// What the model does without, a line each.
    pub left_out: Vec<String>,
    /// Of formats whose channels come first.
    pub transposes: Option<Transposes>,
    /// What is worth to be known, a line each.
    pub notes: Vec<String>,
    /// What the model does otherwise than in its own program, or may, a line each.
    pub warnings: Vec<String>,
    /// From recorded outputs, if there are any.
    pub largest_difference: Option<Difference>,
}

/// An input or an output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// Whether the file has its channels first, `[N, C, H, W]`, where the model has them last.
    pub channels_first: bool,
}

/// What became of transpositions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transposes {
    /// Those that the file has and the model has not.
    pub removed: usize,
    /// Those that the model has.
    pub left: usize,
}

/// How far outputs are from those that another program recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The largest of all.
    pub largest: f32,
    /// The root mean square of the recorded outputs that it is among.
    pub scale: f32,
    /// How many samples were compared.
    pub samples: usize,
}

impl Difference {
    /// The largest difference in units of the scale.
    pub fn relative(&self) -> f32 {
        if self.largest == 0.0 { 0.0 } else { self.largest / self.scale }
    }
}

impl Report {
    /// Counts an operator of that kind.
    pub fn count(&mut self, operator: &str) {
        *self.operators.entry(operator.into()).or_default() += 1;
    }

    /// The same, for a program.
    pub fn to_json(&self) -> Value {
        let ports = |ports: &[Port]| -> Vec<Value> {
            let port = |port: &Port| json!({ "name": port.name, "channels_first": port.channels_first });
            ports.iter().map(port).collect()
        };
        json!({
            "format": self.format, "producer": self.producer, "operators": self.operators,
            "inputs": ports(&self.inputs), "outputs": ports(&self.outputs),
            "folded": self.folded, "fused": self.fused, "left_out": self.left_out,
            "transposes": self.transposes.map(|Transposes { removed, left }| json!({ "removed": removed, "left": left })),
            "notes": self.notes, "warnings": self.warnings,
            "largest_difference": self.largest_difference.map(|difference| json!({
                "largest": difference.largest, "scale": difference.scale,
                "relative": difference.relative(), "samples": difference.samples,
            })),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format)?;
        if let Some(producer) = &self.producer {
            write!(f, ", by {producer}")?;
        }
        let operators = self.operators.iter().map(|(kind, number)| format!("{number} {kind}"));
        write!(f, "\n{}", operators.collect::<Vec<_>>().join(", "))?;
        let lists = [
            ("folded", &self.folded),
            ("fused", &self.fused),
            ("left out", &self.left_out),
            ("note", &self.notes),
            ("warning", &self.warnings),
        ];
        for (what, lines) in lists {
            lines.iter().try_for_each(|line| write!(f, "\n{what}: {line}"))?;
        }
        if let Some(Transposes { removed, left }) = self.transposes {
            write!(f, "\n{} removed, {left} left", count(removed as u64, "transpose"))?;
        }
        if let Some(difference) = &self.largest_difference {
            let Difference { largest, scale, samples } = difference;
            let (relative, samples) = (difference.relative(), count(*samples as u64, "sample"));
            write!(
                f,
                "\nlargest difference from the recorded outputs of {samples}: {largest:.1e}, {relative:.1e} of their root mean square {scale:.3}"
            )?;
        }
        Ok(())
    }
}
