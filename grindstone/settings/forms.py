"""The form of each flow: what a newcomer fills in first, and what unfolds."""

from grindstone.settings.comparisons import GateOptions, SearchOptions
from grindstone.settings.form import FieldGroup, SettingsForm

WHICH_TASKS = FieldGroup(
    "which_tasks",
    "Picks tasks by kind, or takes those that ship skills.",
    (
        *("category", "difficulty", "use_skills"),
        *("tasks_with_skills_dir", "tasks_without_skills_dir", "allow_broken"),
    ),
)
WHO_WORKS = FieldGroup(
    "who_works",
    "The agent's loop, a program of others or a solver of your own, and its limits.",
    (
        *("native_profile", "agent", "agent_command", "solver", "seed_workspace", "region"),
        *("max_steps", "max_tokens", "context_tokens", "skill_select_limit", "selection"),
    ),
)
GRADING = FieldGroup(
    "grading",
    "How a task's tests are run and what they are worth.",
    ("score_mode", "verifier", "trust_disputed"),
)
MACHINES = FieldGroup(
    "machines",
    "Sandboxes, their limits, and whether attempts go to other machines.",
    (
        *("sandbox", "runtime", "timeout_multiplier", "memory_headroom"),
        *("dispatch", "slice_size", "max_slices"),
    ),
)
RUN = FieldGroup(
    "ceilings_and_key",
    "A ceiling on tokens, how often models are asked, a rehearsal's price, and the key that goes "
    "on with an earlier run.",
    (
        *("max_tokens_total", "requests_per_minute", "tokens_per_minute"),
        *("rehearsal_price_as", "run_key"),
    ),
)
COMMON = (WHICH_TASKS, WHO_WORKS, GRADING, MACHINES, RUN)

MODEL_AND_MONEY = ("model_id", "max_cost_usd", "max_workers")
TASKS = ("task_ids", "limit", "tasks_dir")
LEARNER = (
    *("evolve_skills", "evolve_memory", "evolve_prompts"),
    *("feedback_level", "no_direct_answers", "confirm_failures"),
    *("evolver_model_id", "evolver_agent"),
)
SETTLING = FieldGroup(
    "settling", "When the library counts as stable.", ("egl_threshold", "egl_window")
)


def _tasks_besides(*more: str) -> tuple[FieldGroup, ...]:
    """Return the common groups where choosing tasks is not among what comes first."""
    return (WHICH_TASKS._replace(fields=(*more, *WHICH_TASKS.fields)), *COMMON[1:])


def _grading_with(*more: str) -> tuple[FieldGroup, ...]:
    return (*COMMON[:2], GRADING._replace(fields=(*GRADING.fields, *more)), *COMMON[3:])


GRIND = SettingsForm(
    "Run an agent on tasks, turn its failures into skills, try the failed tasks again.\n\n"
    "Submit it as it is to grind the bundled example tasks, with the best model the worker has "
    "credentials for or the offline rehearsal. What came of it is among the run's artifacts.",
    (*TASKS, "agent_id", *MODEL_AND_MONEY, "max_cycles"),
    (
        FieldGroup(
            "learning",
            "How many tasks teach together, and what may change.",
            (
                *("batch_size", *LEARNER, "evolve_tools", "distill"),
                *("task_skill_mode", "success_mode", "promotion_threshold"),
            ),
        ),
        FieldGroup(
            "weighing",
            "Tasks held out to weigh each change, and a comparison afterwards.",
            ("holdout_ratio", *SearchOptions.model_fields, "compare", "trials"),
        ),
        SETTLING,
        *_grading_with("impossible"),
    ),
)
ONE_TASK = SettingsForm(
    "Try one task once and learn nothing from it.\n\n"
    "Choose a bundled task, or give a folder with tasks of your own: then the first of them is "
    "tried, or the one named under Which tasks. The run's artifacts show the verdict and every "
    "step the agent took.",
    ("task", "tasks_dir", "agent_id", "model_id", "max_cost_usd"),
    _tasks_besides("task_ids"),
)
COMPARE = SettingsForm(
    "The same tasks and trials with and without an agent's skills, paired.",
    (*TASKS, "agent_id", *MODEL_AND_MONEY, "trials"),
    COMMON,
)
ADAPT = SettingsForm(
    "Learn without labels: attempt a batch, have a judge read the trajectories, evolve, weigh the "
    "change on held-out tasks, keep it or roll it back; until the library settles.",
    (*TASKS, "agent_id", *MODEL_AND_MONEY, "max_cycles"),
    (
        FieldGroup(
            "learning",
            "How many tasks teach together, what the evolver sees, and what may change.",
            (
                *(
                    "batch_size",
                    "trajectory_only",
                    "max_skills",
                    *LEARNER,
                    "judge_model_id",
                    "judge_agent",
                ),
                *("protect_skills", "prompt_only", "solver_proposed", "max_skill_chars"),
            ),
        ),
        FieldGroup(
            "weighing",
            "Tasks held out to weigh each change.",
            ("holdout_ratio", *SearchOptions.model_fields),
        ),
        SETTLING,
        *_grading_with("impossible"),
    ),
)
_WEIGHING = FieldGroup(
    "weighing",
    "The rule, its level and its tasks.",
    ("holdout_ratio", *GateOptions.model_fields, "roll_back"),
)
GATE = SettingsForm(
    "Weigh a change of an agent's workspace: the same held-out tasks before and after, and an "
    "exact paired test.",
    ("agent_id", "baseline", "candidate", *TASKS[:2], *MODEL_AND_MONEY),
    (_WEIGHING, *_tasks_besides("tasks_dir")),
)
CALIBRATE = SettingsForm(
    "How often the gate errs: identical workspaces against each other, and a known handicap.",
    ("agent_id", "repeats", "handicap", *TASKS[:2], *MODEL_AND_MONEY),
    (
        _WEIGHING._replace(fields=("baseline", "candidate", *_WEIGHING.fields)),
        *_tasks_besides("tasks_dir"),
    ),
)
RELEASE = SettingsForm(
    "Has an agent gained since its last release? Measured on sealed tasks alone, which no run has "
    "attempted; the certificate is among the artifacts.",
    ("agent_id", "baseline", "candidate", "trials", "tasks_dir", *MODEL_AND_MONEY),
    (
        FieldGroup("certificate", "Its level and who signs it.", ("alpha", "signing_key")),
        *_tasks_besides("task_ids", "limit"),
    ),
)
WARRANT = SettingsForm(
    "What each skill of an agent does for the present model, measured with and without it; those "
    "that do not help are retired by a commit.",
    ("agent_id", "retire", "max_attempts", "trials", "tasks_dir", *MODEL_AND_MONEY),
    (
        FieldGroup(
            "judging",
            "When a skill counts as one that helps, harms or does nothing.",
            ("false_share", "margin", "never_loaded_after"),
        ),
        *_tasks_besides("task_ids", "limit"),
    ),
)
COMPETE = SettingsForm(
    "Score an agent's domains from its record, and train the weakest by a grind of their tasks.",
    ("agent_id", "domains", "tasks_dir", "max_jobs", "max_cycles", *MODEL_AND_MONEY),
    (
        FieldGroup(
            "scoring",
            "How a record becomes a score, and which score calls for training.",
            (
                *("base", "domains_by", "dependency", "default_weight", "target_index"),
                *("deficit_threshold", "min_episodes", "prior_strength", "half_life_days", "probe"),
            ),
        ),
        FieldGroup(
            "training",
            "How a domain is trained, and measured.",
            ("train", "job_kind", "trials", "held_out", "evolver_model_id"),
        ),
        *_tasks_besides("task_ids", "limit"),
    ),
)
ROUTE = SettingsForm(
    "Send one task to the agent that does its domain best. Where the policy says review, the run "
    "waits for a person under Resume in the run's menu; where it says escalate, it stops.",
    ("task", "member", "check", "min_level", "tasks_dir", *MODEL_AND_MONEY),
    (
        FieldGroup(
            "routing",
            "How a task's domain is found, and who is good at it.",
            (
                *("domain", "domains", "keywords", "classifier", "min_confidence", "base"),
                *("exploration", "prior_strength", "half_life_days", "strong_model_id"),
            ),
        ),
        FieldGroup(
            "reviewing",
            "Who has seen the task, and how long a review waits.",
            ("approved_by", "review_timeout_s", "allow_escalated"),
        ),
        WHO_WORKS._replace(fields=("environment_dir", *WHO_WORKS.fields)),
        *COMMON[2:],
    ),
    needed=("task",),
)
_RULES = FieldGroup(
    "rules",
    "Policies, rule packs, the judge's model, and the key that signs the trail.",
    ("policies_dir", "constitution_dir", "judge_model_id", "judge_agent", "signing_key"),
)
REVIEW = SettingsForm(
    "Readiness of every agent on the record: who has earned the next level, who no longer holds "
    "the present one.",
    ("agents", "weekly", "notify_block"),
    (_RULES,),
)
EXAM = SettingsForm(
    "Let an agent attempt the edge cases made of recorded failures. No cases, no pass.",
    ("agent_id", "target", "cases", *MODEL_AND_MONEY),
    (
        _RULES._replace(fields=("scope", *_RULES.fields)),
        *(WHO_WORKS, GRADING, MACHINES, RUN),
    ),
)
GRADUATE = SettingsForm(
    "Raise an agent by one level, if it is ready, examined and, where its policy asks, approved "
    "by a named person: with Ask the run waits for one under Resume in its menu.",
    ("agent_id", "ask", "validated_by", "target", "notify_block"),
    (
        _RULES._replace(fields=("scope", "approval_timeout_s", *_RULES.fields)),
        FieldGroup(
            "exam",
            "What an exam that is missing is held with.",
            ("cases", *MODEL_AND_MONEY, *WHO_WORKS.fields, *MACHINES.fields),
        ),
    ),
)
FEEDBACK = SettingsForm(
    "Your word on one piece of an agent's work. It counts in the agent's record at once.",
    ("episode", "name", "field", "original", "correction", "reason", "stars", "comment"),
    needed=("episode", "name"),
)
