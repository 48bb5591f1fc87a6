use super::summary::thousands;
use crate::graph::Model;
use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};

/// The graph in Graphviz's language.
pub(crate) struct Dot<'a, 'm>(pub &'a Model<'m>);

impl fmt::Display for Dot<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dot(model) = *self;
        writeln!(f, "digraph {{\n  node [shape=box];")?;
        for (value, shape) in model.input_shapes().iter().enumerate() {
            let name = model.value_name(value);
            writeln!(f, r#"  v{value} [label="{name}\n{shape}", shape=ellipse];"#)?;
        }
        for (index, node) in model.nodes().iter().enumerate() {
            let value = model.input_shapes().len() + index;
            let (name, layer) = (Quoted(node.name()), Quoted(node.layer_type().name()));
            write!(f, r#"  v{value} [label="{name}\n{layer}\n{}"#, node.output_shape())?;
            let parameters = model.parameter_count_of(node);
            match model.shares(index) {
                Some(owner) => write!(f, r"\nweights of {}", Quoted(model.nodes()[owner].name()))?,
                None if parameters > 0 => write!(f, r"\nparameters: {}", thousands(parameters))?,
                None => {}
            }
            let frozen = parameters > 0 && !node.is_trainable();
            writeln!(f, r#""{}];"#, if frozen { ", style=filled, fillcolor=lightgrey" } else { "" })?;
            let inputs = model.inputs_of(node);
            for &input in inputs {
                write!(f, "  v{input} -> v{value}")?;
                // Where several come together, it helps to see what each brings.
                if inputs.len() > 1 {
                    let shape = model.value_shape(input);
                    write!(f, r#" [label="{shape}"]"#)?;
                }
                writeln!(f, ";")?;
            }
        }
        for (index, (output, shape)) in model.outputs().iter().zip(model.output_shapes()).enumerate() {
            let number = if index == 0 { String::new() } else { format!("_{index}") };
            writeln!(f, r#"  o{index} [label="output{number}\n{shape}", shape=ellipse];"#)?;
            writeln!(f, "  v{output} -> o{index};")?;
        }
        f.write_str("}")
    }
}

/// A name as it is written between quotes, where a backslash begins an escape.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            '\n' => f.write_str("\\n"),
            _ => f.write_char(c),
        })
    }
}
