//! Requests to functions of the state; what is not listed as known is refused.

use std::sync::{Arc, Mutex};

use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::qdrant_server::Qdrant;
use ::qdrant_client::qdrant::*;
use tonic::{Request, Response, Status};

use super::state::State;
use super::{Fault, Script, collections, points};

#[derive(Debug, Clone)]
pub(super) struct Service {
    state: Arc<Mutex<State>>,
    script: Arc<Mutex<Script>>,
}

impl Service {
    pub(super) fn new(state: Arc<Mutex<State>>, script: Arc<Mutex<Script>>) -> Self {
        Self { state, script }
    }

    async fn answer<Q, A>(
        &self,
        name: &'static str,
        request: Request<Q>,
        work: impl FnOnce(&mut State, Q) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        let fault = self.admit(name, &request)?;
        if fault == Some(Fault::Hold) {
            std::future::pending::<()>().await;
        }
        let answer = {
            let mut state = self.state.lock().unwrap();
            state.late = fault == Some(Fault::Late);
            work(&mut state, request.into_inner())
        };
        if fault == Some(Fault::Lose) {
            std::future::pending::<()>().await;
        }
        self.script.lock().unwrap().answered.push(name);
        answer.map(Response::new)
    }

    /// Checks the key, and takes the fault that this request meets.
    fn admit<Q>(&self, name: &str, request: &Request<Q>) -> Result<Option<Fault>, Status> {
        let mut script = self.script.lock().unwrap();
        let given = request.metadata().get("api-key");
        let given = given.map(|key| key.to_str().unwrap());
        if script.api_key.is_some() && script.api_key.as_deref() != given {
            return Err(Status::unauthenticated("Must provide an API key"));
        }
        let at = script.faults.iter().position(|(of, _)| *of == name);
        let fault = at.map(|at| script.faults.remove(at).1);
        match fault {
            Some(Fault::Busy) => Err(Status::resource_exhausted("Rate limiting exceeded")),
            other => Ok(other),
        }
    }
}

#[tonic::async_trait]
impl Qdrant for Service {
    async fn health_check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckReply>, Status> {
        let version = self.script.lock().unwrap().version.clone();
        let reply = HealthCheckReply {
            title: "a server of the tests".to_owned(),
            version,
            commit: None,
        };
        self.answer("health_check", request, |_, _| Ok(reply)).await
    }
}

/// Implements a service: known requests are functions of a module.
macro_rules! serve {
    ($service:ident, $module:ident {
        known: { $($known:ident: $asked:ident -> $given:ident,)* }
        unknown: { $($unknown:ident: $request:ident -> $response:ident,)* }
    }) => {
        #[tonic::async_trait]
        impl $service for Service {
            $(async fn $known(&self, request: Request<$asked>) -> Result<Response<$given>, Status> {
                let name = concat!(stringify!($module), ".", stringify!($known));
                self.answer(name, request, $module::$known).await
            })*
            $(async fn $unknown(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented(concat!(stringify!($unknown), " is not served here")))
            })*
        }
    };
}

serve!(Collections, collections {
    known: {
        get: GetCollectionInfoRequest -> GetCollectionInfoResponse,
        list: ListCollectionsRequest -> ListCollectionsResponse,
        create: CreateCollection -> CollectionOperationResponse,
        delete: DeleteCollection -> CollectionOperationResponse,
        update_aliases: ChangeAliases -> CollectionOperationResponse,
        list_aliases: ListAliasesRequest -> ListAliasesResponse,
        collection_exists: CollectionExistsRequest -> CollectionExistsResponse,
    }
    unknown: {
        update: UpdateCollection -> CollectionOperationResponse,
        list_collection_aliases: ListCollectionAliasesRequest -> ListAliasesResponse,
        collection_cluster_info: CollectionClusterInfoRequest -> CollectionClusterInfoResponse,
        update_collection_cluster_setup:
            UpdateCollectionClusterSetupRequest -> UpdateCollectionClusterSetupResponse,
        create_shard_key: CreateShardKeyRequest -> CreateShardKeyResponse,
        delete_shard_key: DeleteShardKeyRequest -> DeleteShardKeyResponse,
        list_shard_keys: ListShardKeysRequest -> ListShardKeysResponse,
    }
});

serve!(Points, points {
    known: {
        get: GetPoints -> GetResponse,
        create_field_index: CreateFieldIndexCollection -> PointsOperationResponse,
        scroll: ScrollPoints -> ScrollResponse,
        count: CountPoints -> CountResponse,
        update_batch: UpdateBatchPoints -> UpdateBatchResponse,
        query: QueryPoints -> QueryResponse,
    }
    unknown: {
        upsert: UpsertPoints -> PointsOperationResponse,
        delete: DeletePoints -> PointsOperationResponse,
        update_vectors: UpdatePointVectors -> PointsOperationResponse,
        delete_vectors: DeletePointVectors -> PointsOperationResponse,
        set_payload: SetPayloadPoints -> PointsOperationResponse,
        overwrite_payload: SetPayloadPoints -> PointsOperationResponse,
        delete_payload: DeletePayloadPoints -> PointsOperationResponse,
        clear_payload: ClearPayloadPoints -> PointsOperationResponse,
        delete_field_index: DeleteFieldIndexCollection -> PointsOperationResponse,
        create_vector_name: CreateVectorNameRequest -> PointsOperationResponse,
        delete_vector_name: DeleteVectorNameRequest -> PointsOperationResponse,
        search: SearchPoints -> SearchResponse,
        search_batch: SearchBatchPoints -> SearchBatchResponse,
        search_groups: SearchPointGroups -> SearchGroupsResponse,
        recommend: RecommendPoints -> RecommendResponse,
        recommend_batch: RecommendBatchPoints -> RecommendBatchResponse,
        recommend_groups: RecommendPointGroups -> RecommendGroupsResponse,
        discover: DiscoverPoints -> DiscoverResponse,
        discover_batch: DiscoverBatchPoints -> DiscoverBatchResponse,
        query_batch: QueryBatchPoints -> QueryBatchResponse,
        query_groups: QueryPointGroups -> QueryGroupsResponse,
        facet: FacetCounts -> FacetResponse,
        search_matrix_pairs: SearchMatrixPoints -> SearchMatrixPairsResponse,
        search_matrix_offsets: SearchMatrixPoints -> SearchMatrixOffsetsResponse,
    }
});
