//! Servers that are silent, or announce too much.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{code, run, stderr};

/// A server that does `answer` with each client; returns its port.
fn server(answer: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || answer(client));
        }
    });
    port
}

fn doctor(port: u16, more: &str) -> (i32, String, Duration) {
    let target = format!("postgresql://u:secret@127.0.0.1:{port}/x?connect_timeout=2&{more}");
    let started = Instant::now();
    let output = run(&["doctor"], &["-d".to_owned(), target]);
    (code(&output), stderr(&output), started.elapsed())
}

fn startup(client: &mut TcpStream) {
    let mut bytes = [0; 1024];
    let _ = client.read(&mut bytes);
}

#[test]
fn a_silent_server_ends_in_an_error_wherever_it_falls_silent() {
    let silent: [fn(TcpStream); 3] = [
        |client| {
            std::thread::sleep(Duration::from_secs(60));
            drop(client);
        },
        |mut client| {
            startup(&mut client);
            // Authentication is done, and nothing follows.
            let _ = client.write_all(b"R\0\0\0\x08\0\0\0\0");
            std::thread::sleep(Duration::from_secs(60));
        },
        |mut client| {
            startup(&mut client);
            let _ =
                client.write_all(b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I");
            std::thread::sleep(Duration::from_secs(60));
        },
    ];
    for answer in silent {
        let (code, said, took) = doctor(server(answer), "sslmode=disable");
        assert_eq!(code, 3, "{said}");
        assert!(
            said.contains("connect_timeout") && took < Duration::from_secs(10),
            "{said} {took:?}"
        );
    }
}

#[test]
fn a_message_of_two_gigabytes_is_refused_unread() {
    let port = server(|mut client| {
        startup(&mut client);
        let _ = client.write_all(b"R\x7f\xff\xff\xff\0\0\0\0");
        std::thread::sleep(Duration::from_secs(60));
    });
    let (code, said, _) = doctor(port, "sslmode=disable");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("a message of 2147483647 bytes"), "{said}");
}

#[test]
fn a_password_asked_in_clear_is_not_given_where_the_login_has_to_be_bound() {
    let port = server(|mut client| {
        startup(&mut client);
        let _ = client.write_all(b"R\0\0\0\x08\0\0\0\x03");
        let mut bytes = [0; 64];
        let given = client.read(&mut bytes).unwrap_or(0);
        assert!(!bytes[..given].windows(6).any(|part| part == b"secret"));
    });
    let (code, said, _) = doctor(port, "sslmode=prefer&channel_binding=require");
    assert_eq!(code, 3, "{said}");
    assert!(!said.contains("secret"), "{said}");
}
