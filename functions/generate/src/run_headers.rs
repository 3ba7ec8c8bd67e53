//! Headers of a request that control its run, for the documentation. `hearth_http` reads them.

use hearth_domain::CacheControl;
use utoipa::IntoParams;

/// Headers of a request that makes text, images or meshes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the documentation")]
pub(crate) struct RunHeaders {
    /// `respond-async`: answer 202 at once, and complete the run. Read the result at the address in the answer.
    #[param(example = "respond-async")]
    prefer: Option<String>,
    /// Use of the cache: `auto`, `use`, `no-cache`, `no-store` or `only-if-cached`.
    #[param(rename = "x-hearth-cache", example = "use", inline)]
    cache: Option<CacheControl>,
}

/// Headers of a request that is answered when its runs have ended: for vectors, which aren't stored, and for analyses.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the documentation")]
pub(crate) struct CacheHeaders {
    /// Use of the cache: `auto`, `use`, `no-cache`, `no-store` or `only-if-cached`.
    #[param(rename = "x-hearth-cache", example = "use", inline)]
    cache: Option<CacheControl>,
}
