use crate::graph::Model;
use crate::layers::Role;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The table that Keras prints.
pub(crate) struct Summary<'a, 'm>(pub &'a Model<'m>);

impl fmt::Display for Summary<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary(model) = *self;
        // In a chain each reads the one before.
        let chain = model.inputs.len() == 1
            && model.nodes().iter().enumerate().all(|(value, node)| *model.inputs_of(node) == [value]);
        let rule =
            |f: &mut fmt::Formatter<'_>, c: &str| writeln!(f, "{}", c.repeat(if chain { 66 } else { 92 }));
        write!(f, "{:30} {:22} {:>12}", "Layer (type)", "Output Shape", "Param #")?;
        writeln!(f, "{}", if chain { "" } else { "  Connected to" })?;
        rule(f, "=")?;
        for (index, node) in model.nodes().iter().enumerate() {
            let title = format!("{} ({})", node.name(), node.layer_type().name());
            let mut shape = String::from("(None");
            for dim in node.output_shape().dims() {
                shape.push_str(&format!(", {dim}"));
            }
            shape.push(')');
            let parameters = match model.shares(index) {
                Some(_) => "(shared)".into(),
                None => thousands(model.parameter_count_of(node)),
            };
            write!(f, "{title:30} {shape:22} {parameters:>12}")?;
            if !chain {
                let names: Vec<_> = model.inbound(node).collect();
                write!(f, "  {}", names.join(", "))?;
            }
            writeln!(f)?;
        }
        rule(f, "=")?;
        let total = model.parameter_count();
        let roles = model.roles().map_err(|_| fmt::Error)?;
        let learns = model.parameters().iter().zip(roles).filter(|&(_, role)| role == Role::Learnt);
        let trainable = learns.map(|(parameter, _)| parameter.values().len()).sum::<usize>();
        writeln!(f, "Total params: {}", thousands(total))?;
        writeln!(f, "Trainable params: {}", thousands(trainable))?;
        write!(f, "Non-trainable params: {}", thousands(total - trainable))
    }
}

/// `93322` as `93,322`.
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
