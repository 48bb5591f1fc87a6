use bantam::{Dataset, Isa, Model, Session, argmax};
use mnist::data::{Part, Pictures};
use std::error::Error;
use std::path::Path;
use std::{fs, io};

/// Pictures in a file of digits.
const DIGITS: usize = 100;

/// Writes what a chip needs into `folder`: the model, and the first test pictures, each as its class,
/// the class that the model reads here, and its pixels, a byte each.
pub fn run(folder: &Path, model: &Path, data: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let model = Model::load(model)?;
    let test = Pictures::load(&super::data_folder(data), Part::Test)?;
    let mut session = Session::new(&model, 1, Isa::detect())?;
    let mut pixels = vec![0.0; test.input_shape().elements()];
    let (mut digits, mut right) = (Vec::new(), 0);
    let count = DIGITS.min(test.len());
    for i in 0..count {
        test.read(i, &mut pixels, &mut [0.0])?;
        let read = argmax(session.run(&pixels)?);
        digits.extend([test.label(i) as u8, read as u8]);
        digits.extend(test.pixels(i));
        right += usize::from(read == test.label(i));
    }
    fs::create_dir_all(folder).map_err(|problem| failed(folder, &problem))?;
    let (model_file, digits_file) = (folder.join("mnist.bantam"), folder.join("digits.bin"));
    model.save(&model_file)?;
    let temporary = digits_file.with_extension("tmp");
    fs::write(&temporary, &digits)
        .and_then(|()| fs::rename(&temporary, &digits_file))
        .map_err(|problem| failed(&digits_file, &problem))?;
    println!("Wrote {} and {}: {count} digits,", model_file.display(), digits_file.display());
    println!("of which the model reads {right} right.");
    Ok(())
}

fn failed(path: &Path, problem: &io::Error) -> String {
    format!("{}: {problem}", path.display())
}
