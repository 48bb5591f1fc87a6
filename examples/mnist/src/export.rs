use crate::options::data_folder;
use bantam::{Dataset, Isa, Model, Session, argmax};
use clap::Args;
use mnist::data::{Part, Pictures};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Pictures in a file of digits.
const DIGITS: usize = 100;

#[derive(Args)]
pub struct Options {
    /// Where mnist.bantam and digits.bin go
    folder: PathBuf,
    /// The model
    #[arg(long, default_value = "mnist.bantam")]
    model: PathBuf,
    /// Folder with the four IDX files, plain or .gz (default: MNIST, which comes with this program)
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Writes what a chip needs into the folder: the model, and the first test pictures, each as its class,
/// the class that the model reads here, and its pixels, a byte each.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let folder = &options.folder;
    let model = Model::load(&options.model)?;
    let test = Pictures::load(&data_folder(options.data.as_deref()), Part::Test)?;
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
