//! DataFusion as this node runs it: one memory pool and one spill directory for all queries.

use super::apply::ApplyNode;
use super::error::from_df;
use super::recursive::RecursiveNode;
use super::unary::UnaryNode;
use crate::Result;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result as DfResult;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use std::fmt;
use std::sync::Arc;

/// The least memory that queries together get: below it no sort can even spill.
const LEAST_MEMORY: usize = 32 << 20;
/// Memory that a sort keeps back for merging its spilled runs.
const SORT_RESERVE: usize = 1 << 20;

/// Plans and runs relational queries. One a node.
pub struct Engine {
    state: SessionState,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// `memory` bytes for all running queries together; what does not fit spills to the system's
    /// temporary directory, or fails with 53200.
    pub fn new(memory: usize) -> Result<Engine> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory.max(LEAST_MEMORY))))
            .with_disk_manager_builder(DiskManagerBuilder::default())
            .build_arc()
            .map_err(from_df)?;
        let mut config = SessionConfig::new().with_target_partitions(1);
        let options = config.options_mut();
        options.execution.sort_spill_reservation_bytes = SORT_RESERVE;
        // Names and types are ours; the nullability of a kernel's result is not tracked.
        options.execution.skip_physical_aggregate_schema_check = true;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_analyzer_rules(vec![])
            .with_query_planner(Arc::new(Planner))
            .build();
        Ok(Engine { state })
    }

    /// Optimises a plan and makes it runnable.
    pub(super) async fn plan(&self, logical: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        self.state.create_physical_plan(logical).await.map_err(from_df)
    }

    pub(super) fn context(&self) -> Arc<TaskContext> {
        self.state.task_ctx()
    }
}

/// DataFusion's planner with our operators.
#[derive(Debug)]
struct Planner;

#[async_trait]
impl datafusion::execution::context::QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        logical: &LogicalPlan,
        state: &dyn Session,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Extensions)]);
        planner.create_physical_plan(logical, state).await
    }
}

struct Extensions;

#[async_trait]
impl ExtensionPlanner for Extensions {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        state: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        let [input] = inputs else { return Ok(None) };
        if let Some(apply) = node.as_any().downcast_ref::<ApplyNode>() {
            return apply.physical(input.clone(), state).await.map(Some);
        }
        if let Some(unary) = node.as_any().downcast_ref::<UnaryNode>() {
            return unary.physical(input.clone()).map(Some);
        }
        if let Some(recursive) = node.as_any().downcast_ref::<RecursiveNode>() {
            return recursive.physical(input.clone(), state).await.map(Some);
        }
        Ok(None)
    }
}
