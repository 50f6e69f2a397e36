//! Asking for lists, and for one thing in them.

use dealog_events::{DealId, Position, Slug, Version, When};
use dealog_figures::{self as figures, Moment, Range};
use dealog_projections::models::{
    Found, ListPage, Seeing,
    deals::{Deal, DealList, DealQuery, DealStatus, Filter},
};

use crate::{KnownAt, Queries, QueryError, Wrong, asked::amounts, queries::not_ahead};

/// Which deals a list shows, as a caller puts it.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Wait until this position is in the answer.
    pub min_position: Option<Position>,
    /// Deals as they were then; now if absent.
    pub as_of: Option<When>,
    /// Only what had been recorded by then; all if absent.
    pub known_at: Option<KnownAt>,
    /// Which deals, but for when they were created and what they are worth.
    pub filter: Filter,
    /// When they were created.
    pub created: Range,
    /// Deals worth at least this: a decimal number of the reporting currency.
    pub amount_from: Option<String>,
    /// Deals worth at most this.
    pub amount_to: Option<String>,
}

impl Queries {
    /// A page of deals, with this status and in this stage, if one is named.
    pub async fn deals(
        &self,
        listed: Listed,
        status: Option<DealStatus>,
        stage: Option<Slug>,
        page: ListPage,
    ) -> Result<DealList, QueryError> {
        let Listed { min_position, as_of, known_at, mut filter, created, amount_from, amount_to } = listed;
        let mut seeing = Seeing::default();
        let days = created.from.or(created.to);
        // What is asked about now, and names no day and no amount, is answered whatever has become of the figures.
        if as_of.or(days).is_some() || known_at.is_some() || amount_from.is_some() || amount_to.is_some() {
            let moment = self.moment(as_of, known_at).await?;
            seeing = seen(&moment, as_of, known_at);
            let begins = |when: When| when.start(moment.zone);
            (filter.created_from, filter.created_to) = (created.from.map(begins), created.to.map(begins));
            let amount = amounts(amount_from.as_deref(), amount_to.as_deref(), || Ok(moment))?;
            (filter.amount_from, filter.amount_to) = (amount.from, amount.to);
        }
        self.names_are_known(min_position, &filter, stage.as_ref()).await?;
        let lists = self.lists(min_position.max(seeing.known)).await?;
        Ok(lists.deals(&DealQuery { filter, status, stage, page }, &seeing).await?)
    }

    /// Refuses a filter that names something unknown, as figures do. Where the figures cannot say, nothing is refused.
    async fn names_are_known(
        &self,
        min_position: Option<Position>,
        filter: &Filter,
        stage: Option<&Slug>,
    ) -> Result<(), QueryError> {
        let named = figures::Filter {
            pipelines: filter.pipeline.into_iter().collect(),
            stages: stage.cloned().into_iter().collect(),
            owners: filter.owner.map(Some).into_iter().collect(),
            teams: filter.team.into_iter().collect(),
            customers: filter.customer.into_iter().collect(),
            sources: filter.source.clone().into_iter().collect(),
            campaigns: filter.campaign.into_iter().collect(),
            ..figures::Filter::default()
        };
        if named == figures::Filter::default() {
            return Ok(());
        }
        // Something that came a moment ago may not be in the image yet, so a name is unknown only at the end of the log.
        for (is_the_end, position) in [(false, min_position), (true, Some(self.store.head().await?.position))] {
            if self.wait_for(position).await.is_err() {
                return Ok(());
            }
            let (now, named) = ((self.clock)(), named.clone());
            match self.figures.ask(move |image| figures::check_filter(image, named, now)).await {
                Err(_) | Ok(Ok(())) => return Ok(()),
                Ok(Err(unknown)) if is_the_end => return Err(Wrong::from(unknown).into()),
                Ok(Err(_)) => {}
            }
        }
        Ok(())
    }

    /// A deal, as it was and as it was known.
    pub async fn deal(
        &self,
        id: DealId,
        min_position: Option<Position>,
        (as_of, known_at): (Option<When>, Option<KnownAt>),
    ) -> Result<Found<Deal>, QueryError> {
        let mut seeing = Seeing::default();
        if as_of.is_some() || known_at.is_some() {
            seeing = seen(&self.moment(as_of, known_at).await?, as_of, known_at);
        }
        Ok(self.lists(min_position.max(seeing.known)).await?.deal(id, &seeing).await?)
    }

    /// A deal as it was at a version of its stream; none if there is no such deal.
    pub async fn deal_at_version(
        &self,
        id: DealId,
        min_position: Option<Position>,
        wanted: Version,
    ) -> Result<Found<Deal>, QueryError> {
        let at = self.lists(min_position).await?.deal_at_version(id, wanted).await?;
        let beyond = |message: String| Wrong::BeyondVersion { field: "at_version".into(), message };
        if wanted == Version::ZERO {
            return Err(beyond(format!("at_version is 0, and deal-{id} has versions from 1 on")).into());
        }
        if wanted > at.last && at.last > Version::ZERO {
            let last = at.last;
            return Err(beyond(format!("at_version is {wanted}, and deal-{id} has the versions 1 to {last}")).into());
        }
        Ok(at.found)
    }

    /// What an instant and a position that a caller names mean.
    async fn moment(&self, as_of: Option<When>, known_at: Option<KnownAt>) -> Result<Moment, QueryError> {
        let known = match known_at {
            Some(known_at) => Some(self.known(known_at).await?),
            None => None,
        };
        self.wait_for(known).await?;
        let now = (self.clock)();
        let moment = self.figures.ask(move |image| {
            not_ahead(image, as_of, now)?;
            Ok::<_, Wrong>(image.moment(as_of, known, now)?)
        });
        Ok(moment.await??)
    }
}

/// What a list looks at, if a caller names these.
fn seen(moment: &Moment, as_of: Option<When>, known_at: Option<KnownAt>) -> Seeing {
    Seeing { as_of: as_of.map(|_| moment.at), known: known_at.map(|_| moment.position) }
}
