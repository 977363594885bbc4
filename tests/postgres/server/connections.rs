//! Ways in: libpq's variables and files, passwords, TLS.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use pgassay::pg::cluster::Throwaway;
use pgassay::pg::connect::connection::Connection;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::support::{Shop, code, pgassay, programs, server, stderr};

fn doctor(prepare: impl FnOnce(&mut Command)) -> Output {
    let mut command = pgassay();
    command.arg("doctor");
    prepare(&mut command);
    command.output().unwrap()
}

fn target(output: &Output) -> String {
    assert_eq!(code(output), 0, "{}", stderr(output));
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("").to_owned()
}

#[test]
fn variables_urls_and_flags_lead_to_the_same_place_and_say_so() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let settings = shop.settings();
    let (host, port) = (settings.host.clone(), settings.port.to_string());
    let by_variables = doctor(|c| {
        c.env("PGHOST", &host)
            .env("PGPORT", &port)
            .env("PGUSER", "postgres")
            .env("PGDATABASE", &shop.name);
    });
    assert!(target(&by_variables).ends_with("(from PG* variables)"), "{}", target(&by_variables));
    let url = format!("postgresql://postgres@/{}?host={host}&port={port}", shop.name);
    let by_url = doctor(|c| {
        c.env("DATABASE_URL", &url);
    });
    assert!(target(&by_url).ends_with("(from DATABASE_URL)"));
    let by_flag = doctor(|c| {
        c.args(["-d", &url]).env("PGDATABASE", "elsewhere");
    });
    assert!(target(&by_flag).ends_with("(from flags)") && target(&by_flag).contains(&shop.name));
    let service = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        service.path(),
        format!("[shop]\nhost={host}\nport={port}\nuser=postgres\ndbname={}\n", shop.name),
    )
    .unwrap();
    let by_service = doctor(|c| {
        c.env("PGSERVICE", "shop").env("PGSERVICEFILE", service.path());
    });
    assert!(target(&by_service).contains(&shop.name));
}

#[test]
fn doctor_names_the_tables_that_a_role_may_not_read() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let admin = shop.connect();
    let said = |user: &str| {
        let settings = shop.settings();
        let output = doctor(|c| {
            c.args(["-h", &settings.host, "-p", &settings.port.to_string()]).args([
                "-U",
                user,
                "-d",
                &settings.database,
            ]);
        });
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(said("postgres").contains("every table may be read"));
    let told = said("app");
    assert!(told.contains("every table may be read") && told.contains("of other owners"), "{told}");
    admin.batch("REVOKE SELECT ON listings FROM app").unwrap();
    let told = said("app");
    assert!(
        told.contains("1 table that this role may not read, such as public.listings"),
        "{told}"
    );
    assert!(told.contains("GRANT pg_read_all_data TO") || told.contains("GRANT SELECT"), "{told}");
}

/// A server of its own that asks for passwords and speaks TLS with certificates of our own.
fn strict_server() -> Option<&'static (Throwaway, tempfile::TempDir)> {
    static SERVER: OnceLock<Option<(Throwaway, tempfile::TempDir)>> = OnceLock::new();
    SERVER
        .get_or_init(|| {
            let programs = programs()?;
            let files = tempfile::tempdir().unwrap();
            let (root, certificate, key) = certificates();
            std::fs::write(files.path().join("root.crt"), &root).unwrap();
            let (other_root, ..) = certificates();
            std::fs::write(files.path().join("other.crt"), other_root).unwrap();
            let cluster = Throwaway::start_with(&programs, &std::env::temp_dir(), &|data| {
                for (name, text) in [("server.crt", &certificate), ("server.key", &key)] {
                    let file = data.join(name);
                    std::fs::write(&file, text).unwrap();
                    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
                    // Of the user that owns the data directory.
                    let owner = std::fs::metadata(data).unwrap();
                    use std::os::unix::fs::MetadataExt;
                    std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
                }
                std::fs::write(
                    data.join("pg_hba.conf"),
                    "local all postgres trust\nlocal all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
                )
                .unwrap();
                "ssl = on\nlisten_addresses = '127.0.0.1'\n".to_owned()
            })
            .expect("a server with TLS starts");
            let admin = Connection::open(&cluster.settings("postgres")).unwrap();
            admin.batch("CREATE ROLE reader LOGIN PASSWORD 'correct horse'").unwrap();
            Some((cluster, files))
        })
        .as_ref()
}

/// A root, and a certificate for `localhost` and the key of it, all PEM.
fn certificates() -> (String, String, String) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::<String>::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    (root_certificate.pem(), certificate.pem(), key.serialize_pem())
}

fn over_tcp(cluster: &Throwaway, sslmode: &str, root: Option<&Path>, host: &str) -> Output {
    let mut url =
        format!("postgresql://reader@{host}:{}/postgres?sslmode={sslmode}", cluster.port());
    if let Some(root) = root {
        url.push_str(&format!("&sslrootcert={}", root.display()));
    }
    doctor(|c| {
        c.args(["-d", &url]).env("PGPASSWORD", "correct horse").env("HOME", "/nonexistent");
    })
}

#[test]
fn tls_is_verified_as_far_as_sslmode_says() {
    let Some((cluster, files)) = strict_server() else { return };
    let (root, other) = (files.path().join("root.crt"), files.path().join("other.crt"));
    let accepted =
        |sslmode, root: Option<&Path>, host| code(&over_tcp(cluster, sslmode, root, host)) == 0;
    assert!(!accepted("disable", None, "localhost"), "the server takes only TLS");
    for sslmode in ["allow", "prefer", "require"] {
        assert!(accepted(sslmode, None, "localhost"), "{sslmode}");
    }
    assert!(accepted("verify-ca", Some(&root), "localhost"));
    assert!(accepted("verify-full", Some(&root), "localhost"));
    // The certificate names localhost and not the address.
    assert!(accepted("verify-ca", Some(&root), "127.0.0.1"));
    assert!(!accepted("verify-full", Some(&root), "127.0.0.1"));
    for sslmode in ["verify-ca", "verify-full", "require"] {
        assert!(!accepted(sslmode, Some(&other), "localhost"), "{sslmode} with a foreign root");
    }
    let without_root = over_tcp(cluster, "verify-full", None, "localhost");
    assert_eq!(code(&without_root), 2);
    assert!(stderr(&without_root).contains("sslrootcert"), "{}", stderr(&without_root));
}

#[test]
fn passwords_come_from_the_environment_or_pgpass_and_are_never_printed() {
    let Some((cluster, _)) = strict_server() else { return };
    let settings = cluster.settings("postgres");
    let (host, port) = (settings.host.clone(), settings.port.to_string());
    let attempt = |prepare: &dyn Fn(&mut Command)| {
        doctor(|c| {
            c.args(["-h", &host, "-p", &port, "-U", "reader", "-d", "postgres"])
                .env("HOME", "/nonexistent");
            prepare(c);
        })
    };
    let wrong = attempt(&|c| {
        c.env("PGPASSWORD", "wrong horse");
    });
    assert_eq!(code(&wrong), 3);
    assert!(
        stderr(&wrong).contains("28P01") && stderr(&wrong).contains("help:"),
        "{}",
        stderr(&wrong)
    );
    assert!(!stderr(&wrong).contains("wrong horse"));
    let none = attempt(&|_| {});
    assert_eq!(code(&none), 3);
    assert!(stderr(&none).contains("PGPASSWORD"), "{}", stderr(&none));
    let right = attempt(&|c| {
        c.env("PGPASSWORD", "correct horse");
    });
    assert_eq!(code(&right), 0, "{}", stderr(&right));
    assert!(!String::from_utf8_lossy(&right.stdout).contains("correct horse"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "elsewhere:*:*:*:x\nlocalhost:*:postgres:reader:correct horse\n")
        .unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let by_file = attempt(&|c| {
        c.env("PGPASSFILE", file.path());
    });
    assert_eq!(code(&by_file), 0, "{}", stderr(&by_file));
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = attempt(&|c| {
        c.env("PGPASSFILE", file.path());
    });
    assert_eq!(code(&open), 3);
    assert!(stderr(&open).contains("chmod 0600"), "{}", stderr(&open));
}
