use super::output_of;
use crate::error::Error;
use crate::memory::buffer::Buffer;
use crate::memory::heap;
use crate::run::Session;
use crate::run::session::check_finite;
use crate::tensor::{Tensor, check_len};
use alloc::vec::Vec;
use bantam_kernels::reduce;
use core::ops::Range;

/// Where in an image a class is seen: what its probability loses when a patch is covered (Zeiler and Fergus, ECCV 2014,
/// section 4.2). It asks nothing of the model but its output, and runs it once for each place of the patch.
///
/// The heat map has a cell for each stride, on whose centre the patch lies, cut where it reaches over an edge: so the map lies
/// on the image as it is, if the strides divide its size.
///
/// ```
/// use bantam::{Options, Sequential, Session, explain::Occlusion};
/// let model = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().flatten().dense(3).softmax().build(1)?;
/// let mut session = Session::new(&model, Options::new(16))?;
/// let image: Vec<f32> = (0..64).map(|i| (i % 9) as f32 / 9.0).collect();
/// let map = Occlusion::new([4, 4]).stride([2, 2]).run(&mut session, &image, 2)?;
/// assert_eq!(map.shape().dims(), [4, 4]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occlusion {
    patch: [usize; 2],
    stride: [usize; 2],
    value: Option<f32>,
}

impl Occlusion {
    /// By a patch of so many pixels, `[down, across]`, that moves as far as it is large, of the image's mean in each channel.
    pub const fn new(patch: [usize; 2]) -> Occlusion {
        Occlusion { patch, stride: patch, value: None }
    }

    /// Moves so many pixels, `[down, across]`.
    #[must_use]
    pub const fn stride(self, stride: [usize; 2]) -> Occlusion {
        Occlusion { stride, ..self }
    }

    /// Covers with that value in all channels.
    #[must_use]
    pub const fn value(self, value: f32) -> Occlusion {
        Occlusion { value: Some(value), ..self }
    }

    /// What the class's output loses, `[ceil(H / down), ceil(W / across)]`, of an image `[H, W, C]`: below 0 where it gains. A
    /// single output is that of the second of two classes. The session runs as many covered images at a time as its batch has room for; those take memory from the heap.
    ///
    /// # Errors
    /// The model has several inputs or outputs, or others than an image and classes; there is no such class; `image` is not one
    /// image; patch or stride are zero or larger than it; it, the value or an output is not finite; or there is no memory.
    pub fn run(&self, session: &mut Session<'_>, image: &[f32], class: usize) -> Result<Tensor, Error> {
        let (model, options) = (session.plan().model, session.plan().options());
        let (shape, output) = (model.only_input()?, model.only_output()?);
        let [height, width, channels] = shape.array("image")?;
        let (of_class, sign) = output_of(model, output, class)?;
        let outputs = model.value_shape(output).elements();
        check_len("image", image, shape)?;
        let down = patches(height, self.patch[0], self.stride[0])?;
        let across = patches(width, self.patch[1], self.stride[1])?;
        let mut grey = heap::filled(channels, self.value.unwrap_or_default())?;
        check_finite("value", channels, &grey)?;
        let whole = session.run(image)?[of_class];
        if self.value.is_none() {
            reduce::sum_rows(options.isa, height * width, channels, image, &mut grey)?;
            grey.iter_mut().for_each(|sum| *sum /= (height * width) as f32);
        }
        let mut heat = Tensor::zeros(&[down.len(), across.len()])?;
        let batch = options.batch.min(heat.data().len());
        let mut covered = Buffer::try_new(shape.with_batch(batch)?.elements())?;
        let mut places = down.iter().flat_map(|rows| across.iter().map(move |columns| (rows, columns)));
        for heat in heat.data_mut().chunks_mut(batch) {
            let images = &mut covered[..heat.len() * image.len()];
            for (covered, (rows, columns)) in images.chunks_exact_mut(image.len()).zip(&mut places) {
                covered.copy_from_slice(image);
                for row in covered.chunks_exact_mut(width * channels).take(rows.end).skip(rows.start) {
                    let part = &mut row[columns.start * channels..columns.end * channels];
                    part.chunks_exact_mut(channels).for_each(|pixel| pixel.copy_from_slice(&grey));
                }
            }
            for (heat, output) in heat.iter_mut().zip(session.run(images)?.chunks_exact(outputs)) {
                *heat = sign * (whole - output[of_class]);
            }
        }
        Ok(heat)
    }
}

/// What patches cover of so many rows or columns.
fn patches(size: usize, patch: usize, stride: usize) -> Result<Vec<Range<usize>>, Error> {
    for (what, got) in [("patch", patch), ("stride", stride)] {
        if got == 0 {
            return Err(bantam_kernels::Error::ZeroSize { what }.into());
        }
        if got > size {
            return Err(bantam_kernels::Error::OutOfRange { what, max: size, got }.into());
        }
    }
    let mut patches = heap::list(size.div_ceil(stride))?;
    patches.extend((0..size).step_by(stride).map(|cell| {
        let end = (2 * cell + stride + patch) / 2;
        // A last cell may have its centre, and a small patch, beyond the edge.
        end.saturating_sub(patch).min(size - 1)..end.min(size)
    }));
    Ok(patches)
}
