//! Parameters of statements of our own, with their types: no named statement is left on the server.

use tokio_postgres::types::{ToSql, Type};

/// A value that tells its type.
pub trait Parameter: ToSql + Sync {
    fn own_type(&self) -> Type;
    fn as_sql(&self) -> &(dyn ToSql + Sync);
}

macro_rules! is_parameter {
    ($($rust:ty => $server:ident),* $(,)?) => {$(
        impl Parameter for $rust {
            fn own_type(&self) -> Type {
                Type::$server
            }

            fn as_sql(&self) -> &(dyn ToSql + Sync) {
                self
            }
        }
    )*};
}

is_parameter! {
    &str => TEXT,
    String => TEXT,
    i32 => INT4,
    i64 => INT8,
    f64 => FLOAT8,
    u32 => OID,
    Vec<String> => TEXT_ARRAY,
    Vec<&str> => TEXT_ARRAY,
    &[String] => TEXT_ARRAY,
    Vec<u32> => OID_ARRAY,
}
