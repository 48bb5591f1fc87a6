use crate::Subject;
use bantam::explain::{GradCam, Occlusion};
use bantam::{Options, Session};
use bantam_tools::Failure;
use bantam_tools::pictures::heat_map::{beside, last_map, relative};
use std::io::Stdout;

/// Draws where in the image a class is seen, in two ways, each beside the image.
pub fn draw(subject: &Subject<'_>, class: Option<usize>, out: &mut Stdout) -> Result<(), Failure> {
    let Some(layer) = last_map(subject.model) else { return Ok(()) };
    let mut cam = GradCam::new(subject.model, layer.name(), Options::new(1))?;
    let (class, heat) = match class {
        None => cam.run_best(&subject.input)?,
        Some(class) => (class, cam.run(&subject.input, class)?),
    };
    let name = &subject.class_names[class];
    let picture = beside(&subject.levels, subject.shape, &heat)?;
    let shows = format!("where {name} is seen, by the maps of {} (Grad-CAM)", layer.name());
    subject.save("heat.png", &picture, &shows, out)?;

    let side = subject.shape[0].min(subject.shape[1]).div_ceil(5);
    let mut session = Session::new(subject.model, Options::new(16))?;
    let occlusion = Occlusion::new([side; 2]).stride([side.div_ceil(3); 2]);
    let heat = relative(occlusion.run(&mut session, &subject.input, class)?);
    let picture = beside(&subject.levels, subject.shape, &heat)?;
    let shows = format!("what {name} loses where {side}×{side} pixels are covered");
    subject.save("occlusion.png", &picture, &shows, out)
}
