use crate::options::data_folder;
use bantam::{Dataset, Isa, Model, Session, argmax};
use clap::Args;
use mnist::data::{Part, Pictures};
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The files of digits, and which of the test pictures are in each.
const FILES: [(&str, Range<usize>); 2] = [("digits.bin", 0..100), ("digits-to-learn.bin", 100..300)];

#[derive(Args)]
pub struct Options {
    /// Where mnist.bantam, digits.bin and digits-to-learn.bin go
    folder: PathBuf,
    /// The model
    #[arg(long, default_value = "mnist.bantam")]
    model: PathBuf,
    /// Folder with the four IDX files, plain or .gz (default: MNIST, which comes with this program)
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Writes what a chip needs into the folder: the model, and some of the test pictures, each as its class,
/// the class that the model reads here, and its pixels, a byte each.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let folder = &options.folder;
    let model = Model::load(&options.model)?;
    let test = Pictures::load(&data_folder(options.data.as_deref()), Part::Test)?;
    let mut session = Session::new(&model, 1, Isa::detect())?;
    let mut pixels = vec![0.0; test.input_shape().elements()];
    fs::create_dir_all(folder).map_err(|problem| failed(folder, &problem))?;
    let file = folder.join("mnist.bantam");
    model.save(&file)?;
    println!("Wrote {},", file.display());
    for (name, pictures) in FILES {
        let (mut digits, mut right) = (Vec::new(), 0);
        let pictures = pictures.start.min(test.len())..pictures.end.min(test.len());
        for i in pictures.clone() {
            test.read(i, &mut pixels, &mut [0.0])?;
            let read = argmax(session.run(&pixels)?).unwrap_or(0);
            digits.extend([test.label(i) as u8, read as u8]);
            digits.extend(test.pixels(i));
            right += usize::from(read == test.label(i));
        }
        let file = folder.join(name);
        let temporary = file.with_extension("tmp");
        fs::write(&temporary, &digits)
            .and_then(|()| fs::rename(&temporary, &file))
            .map_err(|problem| failed(&file, &problem))?;
        println!("{}: {} digits, of which the model reads {right} right.", file.display(), pictures.len());
    }
    Ok(())
}

fn failed(path: &Path, problem: &io::Error) -> String {
    format!("{}: {problem}", path.display())
}
