use crate::options::data_folder;
use bantam::{AtomicFile, Dataset, Session, argmax};
use bantam_tools::Failure;
use bantam_tools::draw::count;
use bantam_tools::options::load;
use clap::Args;
use mnist::data::{CLASSES, Part, Pictures};
use std::fs;
use std::io::{self, Stdout, Write};
use std::ops::Range;
use std::path::PathBuf;

/// The files of digits, and which of the test pictures are in each.
const FILES: [(&str, Range<usize>); 2] = [("digits.bin", 0..100), ("digits-to-learn.bin", 100..300)];

#[derive(Args)]
pub struct Options {
    /// Where mnist.bantam, digits.bin and digits-to-learn.bin go
    folder: PathBuf,
    /// The model
    #[arg(long, default_value = "mnist.bantam")]
    model: PathBuf,
    /// Folder with the IDX files that the model was trained on, plain or .gz (default: MNIST, which comes
    /// with this program)
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Writes what a chip needs into the folder: the model, its batch normalisations [folded](bantam::Model::fold) into the
/// convolutions before them, and some of the test pictures, each as its class, the class that this model reads here, and
/// its pixels, a byte each.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let Options { folder, model: model_path, .. } = options;
    let model = load(model_path)?.fold()?;
    let data = data_folder(options.data.as_deref());
    let test = Pictures::load(&data, Part::Test)?;
    let (input, classes) = (model.input_shape(), model.output_shape().elements());
    if (input, classes) != (test.input_shape(), CLASSES) {
        let (path, data, pictures) = (model_path.display(), data.display(), test.input_shape());
        let expected = format!("expected a model that reads {CLASSES} classes in {pictures}, as of {data}");
        return Err(format!("{path}: {expected}, got one that reads {classes} in {input}").into());
    }

    let mut session = Session::new(&model, bantam::Options::new(1))?;
    let mut pixels = vec![0.0; input.elements()];
    let mut contents = vec![("mnist.bantam", model.to_bytes()?, String::new())];
    let (mut all, mut all_right) = (0, 0);
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
        let digits_said = count(pictures.len(), "digit");
        contents.push((name, digits, format!(": {digits_said}, of which the model reads {right} right")));
        (all, all_right) = (all + pictures.len(), all_right + right);
    }

    // All that can be refused is refused before the first file changes.
    fs::create_dir_all(folder).map_err(|problem| format!("{}: {problem}", folder.display()))?;
    let mut files = Vec::new();
    for (name, bytes, said) in &contents {
        let path = folder.join(name);
        let mut file = AtomicFile::create(&path)?;
        file.write(bytes)?;
        files.push((file, format!("Wrote {}{said}.", path.display())));
    }
    let mut lines = vec![format!("Test pictures from {}.", data.display())];
    for (file, said) in files {
        file.commit()?;
        lines.push(said);
    }
    writeln!(out, "{}", lines.join("\n"))?;
    if 2 * all_right < all {
        let pictures = count(all, "test picture");
        let advice = "If it was trained on others, --data names their folder.";
        let _ = writeln!(io::stderr(), "warning: the model reads {all_right} of {pictures} right. {advice}");
    }
    Ok(())
}
