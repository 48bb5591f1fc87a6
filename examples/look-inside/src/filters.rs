use crate::Subject;
use bantam::explain::Ascent;
use bantam::{Conv2d, Node};
use bantam_tools::Failure;
use bantam_tools::draw::count;
use bantam_tools::pictures::sheet::{self, Sheet};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Stdout;

/// In a row of the sheet.
const ROW: usize = 8;

/// Draws the weights of the first convolution, and for each convolution the images that excite its first filters most.
pub fn draw(subject: &Subject<'_>, most: usize, out: &mut Stdout) -> Result<(), Failure> {
    let convolutions: Vec<&Node<'_>> =
        subject.model.nodes().iter().filter(|node| node.layer::<Conv2d>().is_some()).collect();
    let Some(first) = convolutions.first() else { return Ok(()) };
    let kernel = &subject.model.weights(first.name())?[0];
    let shape: [usize; 4] = std::array::from_fn(|axis| kernel.shape().dims()[axis]);
    let shows = format!("the {} of {}", count(shape[3], "filter"), first.name());
    let picture = sheet::filters(kernel.values(), shape, 16).magnified(12);
    subject.save("filters.png", &picture, &shows, out)?;

    let filters = |node: &Node<'_>| node.output_shape().dims()[2].min(most);
    let bar = ProgressBar::new(convolutions.iter().map(|node| filters(node) as u64).sum());
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:24} {percent:>3} %, {eta} left") {
        bar.set_style(style);
    }
    for (index, node) in convolutions.iter().enumerate() {
        bar.set_message(node.name().to_string());
        let mut sheet = Sheet::new(filters(node), ROW, [subject.shape[0], subject.shape[1]]);
        for filter in 0..filters(node) {
            sheet.push_pattern(&pattern(subject, node.name(), filter)?);
            bar.inc(1);
        }
        let shows = format!("what excites the first {} of {}", count(filters(node), "filter"), node.name());
        let picture = sheet.magnified(64u32.div_ceil(subject.shape[0].max(subject.shape[1]) as u32));
        bar.suspend(|| {
            subject.save(&format!("patterns-{:02}-{}.png", index + 1, node.name()), &picture, &shows, out)
        })?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// 40 steps of gradient ascent, a level long, from grey noise.
fn pattern(subject: &Subject<'_>, layer: &str, filter: usize) -> Result<Vec<f32>, Failure> {
    let mut image = vec![0.0; subject.input.len()];
    Ascent::noise(128.0..148.0, filter as u64, &mut image);
    // A model's input may have another scale than pixels.
    subject.metadata.scale(&mut image);
    let scale = subject.metadata.scaling.first().map_or(1.0, |scaling| scaling.scale.abs());
    Ascent::new().rate(scale).run(subject.model, layer, filter, &mut image)?;
    Ok(image)
}
