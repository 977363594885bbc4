//! Opens a socket, negotiates TLS, and logs in.

use std::io;
use std::path::Path;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::{
    ChannelBinding as DriverChannelBinding, SslMode as DriverSslMode, SslNegotiation,
};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config};

use super::stream::{AsItIs, Socket, Told, Watched, Wire};
use super::tls::{Connector, connector};
use crate::pg::config::settings::{ChannelBinding, Settings};
use crate::pg::config::ssl::SslMode;
use crate::pg::error::PgError;

pub(in crate::pg) type Driver = tokio_postgres::Connection<Watched, Watched>;

/// The server's end of a network that is gone is noticed after about two minutes.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(6);

/// The request for TLS that PostgreSQL answers with one byte.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A way to the server, to be gone again for cancelling.
#[derive(Clone)]
pub(in crate::pg) struct Route {
    settings: Settings,
    mode: SslMode,
    connector: Option<Connector>,
}

impl Route {
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(settings: &Settings, mode: SslMode) -> Result<Route, PgError> {
        // A socket is not encrypted, whatever sslmode says; libpq does the same.
        let mode = if settings.host.starts_with('/') { SslMode::Disable } else { mode };
        let connector = match mode {
            SslMode::Disable => None,
            _ => Some(connector(mode, settings)?),
        };
        Ok(Route { settings: settings.clone(), mode, connector })
    }

    /// Opens the socket and TLS over it.
    pub async fn open(&self, told: Told) -> io::Result<Watched> {
        let socket = self.socket().await?;
        let Some(connector) = &self.connector else {
            return Ok(Watched::new(Wire::Plain(socket), told));
        };
        let mut socket = socket;
        if !self.settings.is_ssl_direct {
            socket.write_all(&SSL_REQUEST).await?;
            let mut answer = [0];
            socket.read_exact(&mut answer).await?;
            if answer != *b"S" {
                return match self.mode {
                    SslMode::Prefer => Ok(Watched::new(Wire::Plain(socket), told)),
                    _ => Err(io::Error::other("the server does not support TLS")),
                };
            }
        }
        let mut connector = connector.clone();
        let tls = MakeTlsConnect::<Socket>::make_tls_connect(&mut connector, &self.settings.host)
            .map_err(io::Error::other)?;
        let encrypted = tls.connect(socket).await?;
        Ok(Watched::new(Wire::Encrypted(Box::new(encrypted)), told))
    }

    async fn socket(&self) -> io::Result<Socket> {
        let Settings { host, address, port, .. } = &self.settings;
        if host.starts_with('/') {
            let stream =
                UnixStream::connect(Path::new(host).join(format!(".s.PGSQL.{port}"))).await?;
            self.check_peer(&stream)?;
            return Ok(Socket::Unix(stream));
        }
        let stream = TcpStream::connect((address.as_deref().unwrap_or(host), *port)).await?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
        Ok(Socket::Tcp(stream))
    }

    /// `requirepeer`.
    fn check_peer(&self, stream: &UnixStream) -> io::Result<()> {
        let Some(required) = &self.settings.required_peer else { return Ok(()) };
        let uid = stream.peer_cred()?.uid();
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
        match user.is_some_and(|user| user.name == *required) {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "requirepeer is {required}, and the server runs as another user"
            ))),
        }
    }

    /// Logs in over an open stream.
    ///
    /// # Errors
    /// The driver's or the server's error.
    pub async fn log_in(&self, stream: Watched) -> Result<(Client, Driver), tokio_postgres::Error> {
        let settings = &self.settings;
        let mut config = Config::new();
        config
            .user(&settings.user)
            .dbname(&settings.database)
            .application_name(&settings.application_name)
            // TLS is there already, or not wanted.
            .ssl_mode(DriverSslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct)
            .channel_binding(match settings.channel_binding {
                ChannelBinding::Disable => DriverChannelBinding::Disable,
                ChannelBinding::Prefer => DriverChannelBinding::Prefer,
                ChannelBinding::Require => DriverChannelBinding::Require,
            });
        if let Some(password) = &settings.password {
            config.password(password.expose());
        }
        if let Some(options) = &settings.options {
            config.options(options);
        }
        config.connect_raw(stream, AsItIs).await
    }
}
