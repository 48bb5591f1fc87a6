use crate::Subject;
use bantam::{Options, Session};
use bantam_tools::Failure;
use bantam_tools::pictures::sheet;
use std::io::Stdout;

/// Draws what each layer gives, a tile for each channel.
pub fn draw(subject: &Subject<'_>, out: &mut Stdout) -> Result<(), Failure> {
    let maps = subject.model.nodes().iter().filter(|node| matches!(node.output_shape().dims(), [_, _, _]));
    let names: Vec<&str> = maps.map(|node| node.name()).collect();
    let tapped = subject.model.tap(&names)?;
    let mut session = Session::new(&tapped, Options::new(1))?;
    session.run_all(&[&subject.input])?;
    for (index, (name, shape)) in names.iter().zip(tapped.output_shapes()).enumerate() {
        let [height, width, channels] = [0, 1, 2].map(|axis| shape.dims()[axis]);
        let sheet = sheet::activations(session.output(index), [height, width, channels], 16);
        let picture = sheet.magnified(64u32.div_ceil(height.max(width) as u32));
        let shows = format!("what {name} gives, {height}×{width}, for each of its {channels} channels");
        subject.save(&format!("maps-{:02}-{name}.png", index + 1), &picture, &shows, out)?;
    }
    Ok(())
}
