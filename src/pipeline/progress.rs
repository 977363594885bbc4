//! Progress of the pipeline, told to whoever listens.

/// Is told what is going on.
pub trait Progress {
    /// A step begins; the one before it is over.
    fn begin(&self, step: &str);
    /// The step is over.
    fn end(&self);
    /// A sentence for the user.
    fn note(&self, line: &str);
}

/// Nobody listens.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _step: &str) {}
    fn end(&self) {}
    fn note(&self, _line: &str) {}
}
