//! The paths of the gRPC methods.

pub(crate) const COMPUTE_DISPLACEMENT: &str = "/my_package.DisplacementService/computeDisplacement";
pub(crate) const COMPUTE_PATH_LENGTH: &str = "/my_package.DisplacementService/computePathLength";

/// The methods of `routeguide.RouteGuide`.
pub(crate) mod route_guide {
    pub(crate) const GET_FEATURE: &str = "/routeguide.RouteGuide/GetFeature";
    pub(crate) const LIST_FEATURES: &str = "/routeguide.RouteGuide/ListFeatures";
    pub(crate) const RECORD_ROUTE: &str = "/routeguide.RouteGuide/RecordRoute";
    pub(crate) const ROUTE_CHAT: &str = "/routeguide.RouteGuide/RouteChat";
}

/// The methods of `waywiser.admin.v1.AdminService`.
pub(crate) mod admin_v1 {
    pub(crate) const BACKUP_STORE: &str = "/waywiser.admin.v1.AdminService/BackupStore";
}

/// The methods of `waywiser.v1.PathService`.
pub(crate) mod v1 {
    pub(crate) const COMPUTE_DISPLACEMENT: &str = "/waywiser.v1.PathService/ComputeDisplacement";
    pub(crate) const RECORD_PATH: &str = "/waywiser.v1.PathService/RecordPath";
    pub(crate) const APPEND_POINTS: &str = "/waywiser.v1.PathService/AppendPoints";
    pub(crate) const GET_PATH: &str = "/waywiser.v1.PathService/GetPath";
    pub(crate) const WATCH_PATH: &str = "/waywiser.v1.PathService/WatchPath";
    pub(crate) const MEASURE_PATHS: &str = "/waywiser.v1.PathService/MeasurePaths";
    pub(crate) const DELETE_PATH: &str = "/waywiser.v1.PathService/DeletePath";
    pub(crate) const LIST_PATHS: &str = "/waywiser.v1.PathService/ListPaths";
}
