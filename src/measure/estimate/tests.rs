//! Tests of the estimator: simulated walks, stops, cuts, stored states and hostile input.

use proptest::prelude::*;

use super::*;

mod hostile;
mod reference;
mod simulation;
mod walks;
