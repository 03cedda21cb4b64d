//! Frame to input tensor.
