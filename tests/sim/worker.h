#ifndef SCHEDRUN_TESTS_SIM_WORKER_H
#define SCHEDRUN_TESTS_SIM_WORKER_H

/*
 * A worker's main in the simulation, and what stands in for decoding and
 * planning.  Once for the process; in a worker's fiber until it ends; before
 * it is started; from without, SIGTERM.
 */
void sim_worker_prepare(void);
void sim_worker_run(void);
void sim_worker_forget(int worker);
void sim_worker_stop(int worker);

#endif
