use crate::Subject;
use bantam::explain::{GradCam, Occlusion, resized};
use bantam::{Isa, Options, Session, Tensor};
use bantam_tools::Failure;
use bantam_tools::pictures::heat_map::overlay;
use bantam_tools::pictures::sheet::{Sheet, magnified};
use std::io::Stdout;

/// Draws where in the image a class is seen, in two ways, each beside the image.
pub fn draw(subject: &Subject<'_>, class: Option<usize>, out: &mut Stdout) -> Result<(), Failure> {
    let Some(layer) = subject
        .model
        .nodes()
        .iter()
        .rfind(|node| matches!(*node.output_shape().dims(), [height, width, _] if height * width > 1))
    else {
        return Ok(());
    };
    let mut cam = GradCam::new(subject.model, layer.name(), Options::new(1))?;
    let (class, heat) = match class {
        None => cam.run_best(&subject.input)?,
        Some(class) => (class, cam.run(&subject.input, class)?),
    };
    let name = &subject.class_names[class];
    let shows = format!("where {name} is seen, by the maps of {} (Grad-CAM)", layer.name());
    subject.save("heat.png", &beside(subject, &heat)?, &shows, out)?;

    let side = subject.shape[0].min(subject.shape[1]).div_ceil(5);
    let mut session = Session::new(subject.model, Options::new(16))?;
    let occlusion = Occlusion::new([side; 2]).stride([side.div_ceil(3); 2]);
    let mut heat = occlusion.run(&mut session, &subject.input, class)?;
    let most = heat.data().iter().fold(0.0f32, |most, &loss| most.max(loss));
    heat.data_mut().iter_mut().for_each(|loss| *loss = (*loss / most.max(f32::MIN_POSITIVE)).max(0.0));
    let shows = format!("what covering {side}×{side} pixels takes from {name}, at most {most:.3}");
    subject.save("occlusion.png", &beside(subject, &heat)?, &shows, out)
}

/// The image, and the map of 0 to 1 laid over it.
fn beside(subject: &Subject<'_>, heat: &Tensor) -> Result<bantam_tools::pictures::RgbImage, Failure> {
    let [height, width, _] = subject.shape;
    let times = 224usize.div_ceil(height.max(width));
    let size = [height * times, width * times];
    let levels = magnified(&subject.levels, subject.shape, times);
    let laid = overlay(&levels, resized(Isa::detect(), heat, size)?.data(), size);
    let mut sheet = Sheet::new(2, 2, size);
    sheet.push(&levels);
    sheet.push(&laid.as_raw().iter().map(|&level| f32::from(level)).collect::<Vec<_>>());
    Ok(sheet.into_image())
}
