//! Classes of types: immutability, LEAKPROOF comparison, and what they compare with.

/// Classes of types with the same operators and the same rules for indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeClass {
    Text,
    Integer,
    /// Whole numbers that a constant is too small to be one of.
    Bigint,
    /// Numbers with a fraction, exact or not.
    Decimal,
    Boolean,
    Date,
    /// Without time zone.
    Timestamp,
    TimestampTz,
    Uuid,
    /// `json` and `jsonb`.
    Document,
    /// `tsvector`.
    Words,
    Range,
    /// An address or a network: `inet`, `cidr`.
    Network,
    /// Geometric types of PostgreSQL and of PostGIS.
    Geometry,
    /// `hstore`.
    Pairs,
    /// The way from the root of a tree to a node: `ltree`.
    Path,
    Array,
    /// A constant whose type its place decides.
    Constant,
    Other,
}

impl TypeClass {
    /// The kind of a type as the catalog or a cast names it.
    pub fn of(type_name: &str) -> TypeClass {
        let name = type_name.to_lowercase();
        if name.ends_with("[]") {
            return TypeClass::Array;
        }
        let name = name.split('(').next().unwrap_or_default().trim();
        let is_zoned = type_name.to_lowercase().contains("with time zone");
        match name {
            "text" | "varchar" | "character varying" | "char" | "character" | "bpchar"
            | "citext" => TypeClass::Text,
            "smallint" | "integer" | "int" | "int2" | "int4" => TypeClass::Integer,
            "bigint" | "int8" => TypeClass::Bigint,
            "numeric" | "decimal" | "real" | "double precision" | "float4" | "float8" => {
                TypeClass::Decimal
            }
            "boolean" | "bool" => TypeClass::Boolean,
            "date" => TypeClass::Date,
            "timestamptz" => TypeClass::TimestampTz,
            _ if name.starts_with("timestamp") && is_zoned => TypeClass::TimestampTz,
            _ if name.starts_with("timestamp") => TypeClass::Timestamp,
            "uuid" => TypeClass::Uuid,
            "json" | "jsonb" => TypeClass::Document,
            "tsvector" => TypeClass::Words,
            "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange"
            | "int4multirange" | "int8multirange" | "nummultirange" | "tsmultirange"
            | "tstzmultirange" | "datemultirange" => TypeClass::Range,
            "inet" | "cidr" => TypeClass::Network,
            "point" | "box" | "circle" | "polygon" | "geometry" | "geography" => {
                TypeClass::Geometry
            }
            _ if name.ends_with("hstore") => TypeClass::Pairs,
            _ if name.ends_with("ltree") => TypeClass::Path,
            _ => TypeClass::Other,
        }
    }

    /// Its comparisons are LEAKPROOF, as far as the kind tells: of `numeric` and `citext` they are not.
    pub fn is_leakproof(self) -> bool {
        use TypeClass::{
            Bigint, Boolean, Date, Integer, Network, Text, Timestamp, TimestampTz, Uuid,
        };
        matches!(
            self,
            Text | Integer | Bigint | Boolean | Date | Timestamp | TimestampTz | Uuid | Network
        )
    }

    pub fn is_number(self) -> bool {
        matches!(self, TypeClass::Integer | TypeClass::Bigint | TypeClass::Decimal)
    }

    /// This kind, or a constant that becomes it.
    pub fn is_like(self, kind: TypeClass) -> bool {
        self == kind || self == TypeClass::Constant
    }
}
