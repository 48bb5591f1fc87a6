use crate::{Layer, Model};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

/// The table that Keras prints.
pub(crate) struct Summary<'a, 'm>(pub &'a Model<'m>);

impl fmt::Display for Summary<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = |f: &mut fmt::Formatter<'_>, c: &str| writeln!(f, "{}", c.repeat(66));
        writeln!(f, "{:30} {:22} {:>12}", "Layer (type)", "Output Shape", "Param #")?;
        rule(f, "=")?;
        for layer in self.0.layers() {
            let title = format!("{} ({})", layer.name(), layer.kind().names().0);
            let mut shape = String::from("(None");
            for dim in layer.output_shape().dims() {
                shape.push_str(&format!(", {dim}"));
            }
            shape.push(')');
            writeln!(f, "{title:30} {shape:22} {:>12}", thousands(layer.parameter_count()))?;
        }
        rule(f, "=")?;
        let total = self.0.parameter_count();
        let trainable = self.0.layers().iter().filter(|layer| layer.is_trainable());
        let trainable = trainable.map(Layer::parameter_count).sum::<usize>();
        writeln!(f, "Total params: {}", thousands(total))?;
        writeln!(f, "Trainable params: {}", thousands(trainable))?;
        write!(f, "Non-trainable params: {}", thousands(total - trainable))
    }
}

/// `93322` as `93,322`.
fn thousands(n: usize) -> String {
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
