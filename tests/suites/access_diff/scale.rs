//! Many users, few kinds: what is kept grows with the kinds.

use std::collections::BTreeMap;

use pbac::legacy::{Census, Population};
use pbac::postgres::Identifier;
use policy_core::Timestamp;

use crate::shop::{POLICY, SIGNED_OFF, Shop};

const USERS: u64 = 100_000;

#[tokio::test]
async fn a_hundred_thousand_users_are_a_few_kinds() {
    let shop = Shop::open().await;
    shop.sql(&format!(
        "INSERT INTO public.users SELECT n, (ARRAY['CLERK', 'KEEPER', 'OLD_KEEPER'])[1 + n % 3], n % 10 <> 0 \
         FROM generate_series(1000, {}) n; ANALYZE public.users",
        USERS + 999
    ))
    .await;
    shop.write(
        "policy.toml",
        &format!("{POLICY}{}", SIGNED_OFF.replace("user = \"7\"", "role = \"KEEPER\"")),
    );
    let difference = shop.json(0, &["access-diff"]);
    assert_eq!(difference["users"], USERS + 7);
    // Four labels, of which three are also inactive, BOSS and Clerk.
    assert_eq!(difference["kinds"], 8);
    assert_eq!(difference["gained"]["open"], 0);
    let migration = shop.json(0, &["migrate"]);
    assert_eq!(migration["legacy"]["rows"], USERS + 7);
    let validation = shop.json(0, &["validate"]);
    assert_eq!(validation["holds"], true);

    let schema = Identifier::new("pbac").unwrap();
    let marked = BTreeMap::from([("1003".to_owned(), 0)]);
    let census = Census {
        users: "SELECT * FROM pbac.all_users()",
        overrides: Some(&schema),
        coming: None,
        now: Timestamp::from_seconds(0),
        marked: &marked,
        keep: 2,
    };
    let mut connection = shop.database.connect().await;
    let population = Population::read(&mut connection, &census).await.unwrap();
    assert_eq!((population.users, population.kinds.len()), (USERS + 7, 9));
    assert!(population.kinds.iter().all(|kind| kind.first.len() <= 2));
    assert_eq!(population.kinds.iter().map(|kind| kind.users).sum::<u64>(), USERS + 7);
}
