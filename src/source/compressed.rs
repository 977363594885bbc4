//! Opens an input, unpacking gzip, and looks at its beginning.

use std::io::{BufRead, BufReader, Cursor, Read};

use super::SourceError;

/// Bytes looked at to tell the format. A csvlog record of a long statement has to fit.
const HEAD_BYTES: usize = 256 * 1024;

pub type Input<'r> = BufReader<Box<dyn Read + 'r>>;

/// # Errors
/// When the input is in a compression that is not unpacked here, or cannot be read.
pub fn open<'r>(input: impl Read + 'r) -> Result<Input<'r>, SourceError> {
    let mut reader = BufReader::with_capacity(HEAD_BYTES, input);
    let start = reader.fill_buf()?;
    let inner: Box<dyn Read + 'r> = match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return Err(SourceError::Compression("zstd")),
        [b'B', b'Z', b'h', ..] => return Err(SourceError::Compression("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return Err(SourceError::Compression("xz")),
        _ => Box::new(reader),
    };
    Ok(BufReader::with_capacity(HEAD_BYTES, inner))
}

/// The beginning of the input; the reader is put back to the start.
///
/// # Errors
/// When not even the first byte can be read.
pub fn peek(reader: &mut Input<'_>) -> Result<Vec<u8>, SourceError> {
    let mut head = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut broken = None;
    while head.len() < HEAD_BYTES {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => head.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // Met again, at the same place, when the whole is read.
            Err(error) if !head.is_empty() => {
                broken = Some(error);
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let buffered = reader.buffer().to_vec();
    let rest = std::mem::replace(reader, BufReader::new(Box::new(std::io::empty())));
    let tail: Box<dyn Read + '_> = match broken {
        Some(error) => Box::new(Broken(Some(error))),
        None => rest.into_inner(),
    };
    let whole = Cursor::new(head.clone()).chain(Cursor::new(buffered)).chain(tail);
    *reader = BufReader::with_capacity(HEAD_BYTES, Box::new(whole));
    Ok(head)
}

/// Gives the error that ended the input early.
struct Broken(Option<std::io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
