//! The bytes of a connection: a socket, TLS over it, and a limit for each message.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use super::tls::Connector;

/// Longest message before the login is done, bytes.
const MOST_BYTES_AT_LOGIN: usize = 64 << 10;
/// Longest message afterwards, bytes: a row, most often.
const MOST_BYTES: usize = 256 << 20;

/// A socket of either kind.
pub(in crate::pg) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

type Encrypted = <<Connector as MakeTlsConnect<Socket>>::TlsConnect as TlsConnect<Socket>>::Stream;

/// A socket, with TLS over it or without.
pub(in crate::pg) enum Wire {
    Plain(Socket),
    Encrypted(Box<Encrypted>),
}

/// Passes reads and writes on to whichever of two streams it is.
macro_rules! is_stream {
    ($kind:ident, $first:ident, $second:ident) => {
        impl AsyncRead for $kind {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<Result<()>> {
                match self.get_mut() {
                    $kind::$first(stream) => Pin::new(stream).poll_read(context, buffer),
                    $kind::$second(stream) => Pin::new(stream).poll_read(context, buffer),
                }
            }
        }

        impl AsyncWrite for $kind {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<Result<usize>> {
                match self.get_mut() {
                    $kind::$first(stream) => Pin::new(stream).poll_write(context, bytes),
                    $kind::$second(stream) => Pin::new(stream).poll_write(context, bytes),
                }
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
                match self.get_mut() {
                    $kind::$first(stream) => Pin::new(stream).poll_flush(context),
                    $kind::$second(stream) => Pin::new(stream).poll_flush(context),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
                match self.get_mut() {
                    $kind::$first(stream) => Pin::new(stream).poll_shutdown(context),
                    $kind::$second(stream) => Pin::new(stream).poll_shutdown(context),
                }
            }
        }
    };
}

is_stream!(Socket, Tcp, Unix);
is_stream!(Wire, Plain, Encrypted);

/// What the messages of the server tell beside their contents.
#[derive(Debug, Clone, Default)]
pub(in crate::pg) struct Told(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    process_id: AtomicI32,
    transaction: AtomicU8,
}

impl Told {
    /// The process id that the other end gave for cancelling; 0 where it gave none.
    pub fn process_id(&self) -> i32 {
        self.0.process_id.load(Ordering::Relaxed)
    }

    /// A transaction is open, failed or not.
    pub fn is_in_transaction(&self) -> bool {
        matches!(self.0.transaction.load(Ordering::Relaxed), b'T' | b'E')
    }

    /// The open transaction has failed, and takes nothing but its end.
    pub fn has_failed(&self) -> bool {
        self.0.transaction.load(Ordering::Relaxed) == b'E'
    }
}

/// Looks at the header of each message of the server before the message is read into memory.
pub(in crate::pg) struct Watched {
    wire: Wire,
    frames: Frames,
}

impl Watched {
    pub fn new(wire: Wire, told: Told) -> Watched {
        Watched { wire, frames: Frames { told, ..Frames::default() } }
    }
}

/// Where the bytes read so far end: in a header, or in a body.
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    body_left: usize,
    /// The first bytes of the body of `BackendKeyData`.
    process_id: Vec<u8>,
    is_logged_in: bool,
    told: Told,
}

/// Kind and length of a message.
const HEADER_BYTES: usize = 5;
/// `BackendKeyData`.
const KEY_DATA: u8 = b'K';
/// `ReadyForQuery`.
const READY: u8 = b'Z';

impl Frames {
    fn read(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let (body, rest) = bytes.split_at(self.body_left.min(bytes.len()));
                self.body(body);
                bytes = rest;
                continue;
            }
            let missing = HEADER_BYTES - self.header.len() % HEADER_BYTES;
            if self.header.len() == HEADER_BYTES {
                self.header.clear();
            }
            let (head, rest) = bytes.split_at(missing.min(bytes.len()));
            self.header.extend_from_slice(head);
            bytes = rest;
            if self.header.len() == HEADER_BYTES {
                self.begin()?;
            }
        }
        Ok(())
    }

    /// A header is complete.
    fn begin(&mut self) -> Result<()> {
        let [kind, length @ ..] = &self.header[..] else { return Ok(()) };
        let length = <[u8; 4]>::try_from(length).map_or(0, u32::from_be_bytes) as usize;
        let most = if self.is_logged_in { MOST_BYTES } else { MOST_BYTES_AT_LOGIN };
        if length < 4 || length > most {
            let what = format!("the server announces a message of {length} bytes");
            return Err(Error::new(ErrorKind::InvalidData, what));
        }
        self.body_left = length - 4;
        self.is_logged_in |= *kind == READY;
        Ok(())
    }

    fn body(&mut self, body: &[u8]) {
        self.body_left -= body.len();
        match (self.header.first(), body) {
            (Some(&KEY_DATA), _) if self.process_id.len() < 4 => {
                self.process_id.extend(body.iter().take(4 - self.process_id.len()));
                if let Ok(id) = <[u8; 4]>::try_from(&self.process_id[..]) {
                    self.told.0.process_id.store(i32::from_be_bytes(id), Ordering::Relaxed);
                }
            }
            (Some(&READY), [status]) => {
                self.told.0.transaction.store(*status, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let own = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut own.wire).poll_read(context, buffer))?;
        Poll::Ready(own.frames.read(&buffer.filled()[before..]))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(context)
    }
}

impl TlsStream for Watched {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.wire {
            Wire::Plain(_) => ChannelBinding::none(),
            Wire::Encrypted(stream) => stream.channel_binding(),
        }
    }
}

/// Hands a stream over to the driver as it is: whatever TLS there is was negotiated before.
pub(in crate::pg) struct AsItIs;

impl TlsConnect<Watched> for AsItIs {
    type Stream = Watched;
    type Error = Error;
    type Future = std::future::Ready<Result<Watched>>;

    fn connect(self, stream: Watched) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    #[test]
    fn the_process_id_is_read_however_the_bytes_are_cut() {
        let key_data = [7_i32.to_be_bytes(), 99_i32.to_be_bytes()].concat();
        let bytes =
            [message(b'R', &[0; 4]), message(b'K', &key_data), message(b'Z', b"I")].concat();
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            bytes.chunks(size).for_each(|chunk| frames.read(chunk).unwrap());
            assert_eq!((frames.told.process_id(), frames.is_logged_in), (7, true), "{size}");
        }
    }

    #[test]
    fn a_message_above_the_limit_is_refused_before_it_is_read() {
        let header = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()].concat();
        let mut frames = Frames::default();
        assert!(frames.read(&header(b'R', 1 << 20)).is_err());
        let mut frames = Frames::default();
        assert!(frames.read(&header(b'R', 3)).is_err());
        let mut frames = Frames::default();
        frames.read(&message(b'Z', b"I")).unwrap();
        assert!(frames.read(&header(b'D', 1 << 20)).is_ok());
        let mut frames = Frames::default();
        frames.read(&message(b'Z', b"I")).unwrap();
        assert!(frames.read(&header(b'D', 2_000_000_000)).is_err());
    }
}
