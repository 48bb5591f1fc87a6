use crate::error::Error;
use crate::layers::{Backward, Forward, Step, TrainingStep};
use bantam_kernels::{Isa, reduce};

/// The sum of all elements.
pub(in crate::tape) struct Sum {
    pub isa: Isa,
}

impl Step for Sum {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output[0] = reduce::sum(self.isa, run.inputs[0]);
        Ok(())
    }
}

impl TrainingStep for Sum {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        if let Some(d_input) = run.d_input {
            d_input.fill(run.d_output[0]);
        }
        Ok(())
    }
}
