use bantam_kernels::{Isa, peak};

pub fn multiply_adds(isa: Isa) {
    let round = peak::multiply_adds(isa, 1);
    assert!(round >= peak::multiply_adds(Isa::SCALAR, 1));
    assert_eq!(peak::multiply_adds(isa, 1000), 1000 * round);
}
