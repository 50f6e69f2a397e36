//! A log of an earlier version is brought up, one of a later version is refused and left as it is.

use super::Run;
use crate::{
    broken::{Result, ensure},
    place::{Faults, Place},
};

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    if run.chance.percent(50) {
        run.cluster.kill_all().await?;
    } else {
        run.cluster.stop_all().await?;
    }
    let place = run.cluster.place.clone();
    let present = sqlite::version(&place).await?;
    sqlite::make_later(&place).await?;
    let before = sqlite::contents(&place)?;
    let (code, said) = place.run(&["serve", "--listen", "127.0.0.1:0"], &Faults::none()).await?;
    ensure!(code == Some(1) && said.contains("newer"), "a later log: {code:?} {said}");
    ensure!(sqlite::contents(&place)? == before, "a later log was refused, and changed");
    sqlite::make_earlier(&place, present).await?;
    run.cluster.start(run.nodes, &Faults::none()).await?;
    let found = sqlite::version(&place).await?;
    ensure!(found == present, "an earlier log was brought to version {found} and not {present}");
    Ok(())
}

mod sqlite {
    use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

    use super::{Place, Result};

    async fn connect(place: &Place) -> Result<SqliteConnection> {
        let options = SqliteConnectOptions::new().filename(place.data().join("log.db"));
        Ok(SqliteConnection::connect_with(&options).await?)
    }

    pub(super) async fn version(place: &Place) -> Result<i64> {
        let mut connection = connect(place).await?;
        let version = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(version)
    }

    async fn run(place: &Place, statements: String) -> Result<()> {
        let mut connection = connect(place).await?;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    pub(super) async fn make_later(place: &Place) -> Result<()> {
        run(place, "PRAGMA user_version = 999".into()).await
    }

    /// The first version had no tokens.
    pub(super) async fn make_earlier(place: &Place, present: i64) -> Result<()> {
        assert_eq!(present, 2, "say here what version {present} has added");
        run(place, "DROP TABLE tokens; PRAGMA user_version = 1".into()).await
    }

    pub(super) fn contents(place: &Place) -> Result<Vec<u8>> {
        Ok(std::fs::read(place.data().join("log.db"))?)
    }
}
