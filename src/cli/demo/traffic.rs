//! The marketplace's users: concurrent sessions that prepare their statements and send parameters, as
//! an application's driver does.

use std::collections::HashMap;
use std::thread;

use tokio_postgres::Statement;

use crate::model::workload::literal::Literal;
use crate::pg::config::settings::Settings;
use crate::pg::connect::connection::{Connection, InWorkload};
use crate::pg::error::PgError;
use crate::stats::random::Random;

/// Client threads. Each holds two connections, so that a page can spread a loop over both.
const CLIENTS: usize = 4;
/// Pages that each client asks for: about 1,200 executions in all, small enough to keep their log.
const PAGES: usize = 54;
/// Rows of a page, and with them executions of a loop.
const PAGE_ROWS: i64 = 12;

/// One connection with its prepared statements.
struct Client {
    connection: Connection,
    statements: HashMap<&'static str, Statement>,
}

impl Client {
    fn open(settings: &Settings) -> Result<Self, PgError> {
        Ok(Client { connection: Connection::open(settings)?, statements: HashMap::new() })
    }

    /// Executes and returns the first column of each row, as text where it is text and as a number
    /// where it is one.
    fn ask(&mut self, sql: &'static str, values: &[String]) -> Result<Vec<i64>, PgError> {
        if !self.statements.contains_key(sql) {
            let statement = InWorkload::of_application(&self.connection).prepare(sql)?;
            self.statements.insert(sql, statement);
        }
        let literals: Vec<Literal> =
            values.iter().map(|value| Literal::text(value.as_str())).collect();
        let application = InWorkload::of_application(&self.connection);
        let rows = application.rows(&self.statements[sql], &literals)?;
        Ok(rows.iter().filter_map(|row| row.try_get::<_, i64>(0).ok()).collect())
    }
}

/// Runs all clients to their end. `progress` is called after each page.
///
/// # Errors
/// The first error of any client.
pub fn drive(settings: &Settings, seed: u64, progress: &(dyn Fn() + Sync)) -> Result<(), PgError> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    client(settings, seed.wrapping_mul(1_000) + number as u64, progress)
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| {
            client
                .join()
                .unwrap_or_else(|_| Err(PgError::settings("a client of the demo", "panicked")))
        })
    })
}

/// Pages of all clients.
pub const ALL_PAGES: usize = CLIENTS * PAGES;

fn client(settings: &Settings, seed: u64, progress: &(dyn Fn() + Sync)) -> Result<(), PgError> {
    let mut random = Random::new(seed);
    let (mut one, mut two) = (Client::open(settings)?, Client::open(settings)?);
    for page in 0..PAGES {
        // In turn rather than by lot, so that every page has its share in a short run.
        match page % 9 {
            0 | 4 => browse(&mut one, &mut random)?,
            1 => order_list(&mut one, &mut two, &mut random)?,
            2 => inbox(&mut one, &mut random)?,
            3 => search(&mut one, &mut random)?,
            5 => seller_page(&mut one, &mut random)?,
            6 => login(&mut one, &mut random)?,
            7 => buy(&mut two, &mut random)?,
            _ => inbox(&mut two, &mut random)?,
        }
        progress();
    }
    Ok(())
}

/// A number in `1..=most`, small ones more often, as the rows are skewed.
fn skewed(random: &mut Random, most: u64, power: f64) -> String {
    (1 + (random.unit().powf(power) * most as f64) as u64).to_string()
}

/// Newest listings of a category, then the seller of each: the loop of the browse page.
fn browse(client: &mut Client, random: &mut Random) -> Result<(), PgError> {
    let category = skewed(random, 200, 1.5);
    let sellers = client.ask(
        "SELECT seller_id, id, title, price_cents, created_at FROM listings \
         WHERE category_id = $1 AND status = $2 ORDER BY created_at DESC LIMIT $3",
        &[category, "active".to_owned(), PAGE_ROWS.to_string()],
    )?;
    for seller in sellers {
        client.ask(
            "SELECT id, display_name, country FROM users WHERE id = $1",
            &[seller.to_string()],
        )?;
    }
    Ok(())
}

/// The last orders of a buyer, then the items of each, over both connections of the pool.
fn order_list(one: &mut Client, two: &mut Client, random: &mut Random) -> Result<(), PgError> {
    let buyer = skewed(random, 2_000, 1.5);
    let orders = one.ask(
        "SELECT id, status, total_cents, created_at FROM orders WHERE buyer_id = $1 \
         ORDER BY created_at DESC LIMIT $2",
        &[buyer, PAGE_ROWS.to_string()],
    )?;
    for (number, order) in orders.into_iter().enumerate() {
        let client = if number % 2 == 0 { &mut *one } else { &mut *two };
        client.ask(
            "SELECT id, listing_id, quantity, price_cents FROM order_items WHERE order_id = $1",
            &[order.to_string()],
        )?;
    }
    Ok(())
}

fn inbox(client: &mut Client, random: &mut Random) -> Result<(), PgError> {
    let user = skewed(random, 20_000, 1.5);
    client.ask(
        "SELECT count(*) FROM messages WHERE recipient_id = $1 AND read_at IS NULL",
        std::slice::from_ref(&user),
    )?;
    client.ask(
        "SELECT id, sender_id, body, created_at FROM messages WHERE recipient_id = $1 \
         ORDER BY created_at DESC LIMIT $2",
        &[user, "20".to_owned()],
    )?;
    Ok(())
}

fn search(client: &mut Client, random: &mut Random) -> Result<(), PgError> {
    const WORDS: [&str; 6] = ["camera", "guitar", "sofa", "lamp", "watch", "bicycle"];
    let hex = format!("{:02x}", random.below(256));
    client.ask(
        "SELECT id, title, price_cents FROM listings WHERE title ILIKE $1 AND status = $2 \
         ORDER BY created_at DESC LIMIT $3",
        &[format!("%{} {hex}%", WORDS[random.below(6)]), "active".to_owned(), "20".to_owned()],
    )?;
    Ok(())
}

fn seller_page(client: &mut Client, random: &mut Random) -> Result<(), PgError> {
    let seller = skewed(random, 5_000, 2.0);
    client.ask(
        "SELECT id, title, status, price_cents FROM listings WHERE seller_id = $1 \
         ORDER BY created_at DESC LIMIT $2",
        &[seller.clone(), "50".to_owned()],
    )?;
    client.ask("SELECT avg(rating), count(*) FROM reviews WHERE seller_id = $1", &[seller])?;
    Ok(())
}

fn login(client: &mut Client, random: &mut Random) -> Result<(), PgError> {
    let number = 1 + random.below(20_000);
    let host = ["example.com", "mail.test", "shop.test"][number % 3];
    client.ask(
        "SELECT id, display_name FROM users WHERE lower(email) = $1",
        &[format!("user{number}@{host}")],
    )?;
    Ok(())
}

/// The write path: look, ask the seller, and remember.
fn buy(client: &mut Client, random: &mut Random) -> Result<(), PgError> {
    let listing = (1 + random.below(180_000)).to_string();
    client.ask(
        "UPDATE listings SET view_count = view_count + 1 WHERE id = $1",
        std::slice::from_ref(&listing),
    )?;
    client.ask(
        "INSERT INTO messages (sender_id, recipient_id, listing_id, body) VALUES ($1, $2, $3, $4)",
        &[
            skewed(random, 20_000, 1.5),
            skewed(random, 20_000, 1.5),
            listing.clone(),
            "is it still there?".to_owned(),
        ],
    )?;
    client.ask("SELECT count(*) FROM favorites WHERE listing_id = $1", &[listing])?;
    Ok(())
}
