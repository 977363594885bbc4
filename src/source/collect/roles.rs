//! Roles that executed a statement, as far as the source names them.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

/// Role keys that are kept of one statement, at most.
const MOST_ROLE_KEYS: usize = 16;

/// Hash of a database and a user.
pub fn role_key(database: &[u8], user: &[u8]) -> u32 {
    (xxh3_64(database) ^ xxh3_64(user).rotate_left(1)) as u32
}

/// The role keys of a statement's executions, ascending; of too many the smallest, and one more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleKeys(Vec<u32>);

impl RoleKeys {
    pub fn note(&mut self, role_key: u32) {
        if let Err(place) = self.0.binary_search(&role_key) {
            self.0.insert(place, role_key);
            self.0.truncate(MOST_ROLE_KEYS + 1);
        }
    }

    pub fn each(&self) -> &[u32] {
        &self.0
    }

    /// The names of the users, each once; empty where one of them is not known.
    pub fn users(&self, names: &Users) -> Vec<String> {
        let users = self.0.iter().map(|role_key| names.0.get(role_key).cloned());
        let users: Option<Vec<String>> = users.collect();
        let mut users = users.filter(|_| self.0.len() <= MOST_ROLE_KEYS).unwrap_or_default();
        users.sort_unstable();
        users.dedup();
        users
    }
}

/// The names of users, by role key.
#[derive(Debug, Default)]
pub struct Users(BTreeMap<u32, String>);

impl Users {
    /// Notes the user of a role key, unless the server did not know it yet.
    pub fn add(&mut self, role_key: u32, user: &[u8]) {
        if !matches!(user, b"" | b"[unknown]") && !self.0.contains_key(&role_key) {
            self.0.insert(role_key, String::from_utf8_lossy(user).into_owned());
        }
    }

    pub fn merge(&mut self, other: Users) {
        for (role_key, name) in other.0 {
            self.0.entry(role_key).or_insert(name);
        }
    }

    /// By role key, ascending.
    pub fn each(&self) -> Vec<(u32, &str)> {
        self.0.iter().map(|(role_key, name)| (*role_key, name.as_str())).collect()
    }
}

/// The names of applications, by the hash of the name.
#[derive(Debug, Default)]
pub struct Applications(BTreeMap<u32, String>);

impl Applications {
    /// Notes a name, and gives its hash; 0 where there is none.
    pub fn add(&mut self, name: &[u8]) -> u32 {
        if matches!(name, b"" | b"[unknown]") {
            return 0;
        }
        let hash = (xxh3_64(name) as u32).max(1);
        self.0.entry(hash).or_insert_with(|| String::from_utf8_lossy(name).into_owned());
        hash
    }

    pub fn merge(&mut self, other: Applications) {
        other.0.into_iter().for_each(|(hash, name)| _ = self.0.entry(hash).or_insert(name));
    }

    /// Ascending.
    pub fn names(&self) -> Vec<&str> {
        self.0.values().map(String::as_str).collect()
    }

    pub fn by_hash(self) -> BTreeMap<u32, String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_when_all_of_them_are() {
        let mut names = Users::default();
        for (role_key, user) in [(1, "app"), (2, "app"), (3, "cron"), (4, ""), (5, "[unknown]")] {
            names.add(role_key, user.as_bytes());
        }
        let users = |names: &Users, role_keys: &[u32]| {
            let mut all = RoleKeys::default();
            role_keys.iter().for_each(|role_key| all.note(*role_key));
            all.users(names)
        };
        assert_eq!(users(&names, &[3, 2, 1, 2]), ["app", "cron"]);
        for unknown in [&[][..], &[1, 4], &[1, 5], &[1, 9]] {
            assert!(users(&names, unknown).is_empty(), "{unknown:?}");
        }
        (10..40).for_each(|role_key| names.add(role_key, b"tenant"));
        assert_eq!(users(&names, &(10..26).collect::<Vec<_>>()), ["tenant"]);
        assert!(users(&names, &(10..27).collect::<Vec<_>>()).is_empty());
    }
}
