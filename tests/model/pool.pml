/* The protocol of src/base/pool.c and the door of src/engine/cpu/team.c as a model for spin: every order
 * in which the threads' steps can happen is tried.
 *
 *     tests/model/check                          # what `make test` runs
 *     spin -a -DMEMBERS=3 -DJOBS=2 pool.pml      # one configuration by hand; see the script
 *
 * A thread's step is one access to what others see; names are those of the C files. MEMBERS workers take
 * JOBS jobs from a queue, lead a team for each (calling all others), and park when there is none; the
 * producer (the server's loop) adds jobs and wakes. A spin is a wait, with the right to go to sleep at
 * any moment instead; a futex sleeps only if the word is still what the sleeper saw.
 *
 * Checked: no thread waits for ever (an end in which somebody is not through is an error), every job is
 * done, nobody is inside help() when qr_pool_close has returned, and as many came as left.
 *
 * Mutations, which must be found (the script tries each):
 *     -DNO_COUNT     words without a count of takings: a late leader robs another's call
 *     -DNO_EARLIER   a parking member does not look at `pending`: a wake-up is lost
 *     -DNO_AGAIN     ... looks once: what was counted while it was AWAY for that look is lost
 *     -DNO_RECHECK   a waker does not look again after counting: a wake-up is lost
 *     -DNO_WAIT      close does not wait for those who came
 */
#ifndef MEMBERS
#define MEMBERS 2
#endif
#ifndef JOBS
#define JOBS 2
#endif

/* word = count of takings * 8 + state */
#define AWAY     0
#define SPINNING 1
#define SLEEPING 2
#define CLAIMED  3
#define CALLED   4
#define HELPING  5
#define WOKEN    6
#define STATE(w)   ((w) & 7)
#define WITH(w, s) (((w) & 248) | (s))
#define PARKED(w)  (STATE(w) == SPINNING || STATE(w) == SLEEPING)
#ifdef NO_COUNT
#define TAKEN(w, s) WITH(w, s)
#else
#define TAKEN(w, s) (WITH(w, s) + 8)
#endif
#define CLOSED 255

byte word[MEMBERS];
bool asleep[MEMBERS];  /* in the kernel */
byte calls[MEMBERS];   /* who called: whose qr_calls the slot points to */
byte pending;

/* One qr_calls and one door a leader, used again for its next team. */
byte came[MEMBERS], left[MEMBERS], admitted[MEMBERS], ranks_next[MEMBERS];
byte arrived[MEMBERS], rounds[MEMBERS];
byte inside[MEMBERS]; /* in help() for this leader */

byte jobs, done, over;
bool closing;

#define CAS(m, old, new, ok)                                      \
    d_step {                                                      \
        if                                                        \
        :: word[m] == (old) -> word[m] = (new); ok = true         \
        :: else -> ok = false                                     \
        fi                                                        \
    }

#define FUTEX_WAKE(m) asleep[m] = false

/* Takes a parked member for `state`; ok, w: its new word, slept. One step: to load a word and to fail
 * with it is the same as not to have looked yet. */
inline take(m, state) {
    d_step {
        w = word[m];
        if
        :: PARKED(w) ->
            slept = (STATE(w) == SLEEPING);
            w = TAKEN(w, state);
            word[m] = w;
            ok = true
        :: else -> ok = false
        fi
    }
}

inline wake_parked() {
    m = 0;
    ok = false;
    do
    :: m < MEMBERS && !ok ->
        take(m, WOKEN);
        if
        :: ok && slept -> FUTEX_WAKE(m)
        :: else
        fi;
        m++
    :: else -> break
    od
}

inline take_pending() {
    d_step {
        if
        :: pending > 0 -> pending--; ok = true
        :: else -> ok = false
        fi
    }
}

inline qr_pool_wake() {
    do
    :: wake_parked();
        if
        :: ok -> break
        :: else
        fi;
        d_step {
            if
            :: pending < MEMBERS -> pending++
            :: else
            fi
        };
#ifdef NO_RECHECK
        break;
#endif
        m = 0;
        ok = false;
        do
        :: m < MEMBERS && !ok -> d_step { ok = PARKED(word[m]); m++ }
        :: else -> break
        od;
        if
        :: ok -> take_pending()
        :: else
        fi;
        if
        :: ok
        :: else -> break
        fi
    od;
    atomic { w = 0; m = 0; ok = false; slept = false }
}

inline barrier(l, ranks) {
    if
    :: ranks > 1 ->
        r = rounds[l];
        d_step {
            arrived[l]++;
            if
            :: arrived[l] == ranks -> arrived[l] = 0; rounds[l]++
            :: else
            fi
        };
        rounds[l] != r
    :: else
    fi
}

/* On a member that came. */
inline help() {
    l = calls[me];
    d_step { calls[me] = 0; inside[l]++; ticket = came[l]; came[l]++ };
    admitted[l] == CLOSED || admitted[l] > ticket;
    if
    :: admitted[l] != CLOSED ->
        ranks = ranks_next[l];
        barrier(l, ranks); /* of its stage */
        barrier(l, ranks); /* of the stage's end, where the leader may let it go */
        if
        :: ticket + 1 < ranks_next[l] -> ranks = ranks_next[l]; barrier(l, ranks)
        :: else
        fi
    :: else
    fi;
    inside[l]--; /* its last access to what the leader owns, but for `left` */
    word[me] = WITH(w, SPINNING);
    d_step { left[l]++; l = 0; r = 0; ticket = 0; ranks = 0; ok = false }
}

inline qr_pool_park() {
    w = word[me];
    word[me] = WITH(w, SPINNING);
    do
    :: d_step { w = word[me]; ok = false };
        if
        :: STATE(w) == SPINNING ->
            if
#ifndef NO_EARLIER
            :: pending > 0 ->
                CAS(me, w, WITH(w, AWAY), ok);
                if
                :: ok ->
                    take_pending();
                    if
                    :: ok -> break
                    :: else -> word[me] = w
                    fi
                :: else
                fi;
#ifdef NO_AGAIN
                CAS(me, w, WITH(w, SLEEPING), ok)
#endif
            :: pending == 0 ->
#else
            :: true ->
#endif
                if
                :: word[me] != w /* seen while spinning */
                :: CAS(me, w, WITH(w, SLEEPING), ok)
                fi
            fi
        :: STATE(w) == SLEEPING ->
            d_step {
                if
                :: word[me] == w -> asleep[me] = true
                :: else
                fi
            };
            !asleep[me]
        :: STATE(w) == CLAIMED -> word[me] != w
        :: STATE(w) == CALLED ->
            CAS(me, w, WITH(w, HELPING), ok);
            if
            :: ok -> w = WITH(w, HELPING); help()
            :: else
            fi
        :: STATE(w) == WOKEN -> word[me] = WITH(w, AWAY); break
        :: else -> assert(false)
        fi
    od
}

/* Calls everybody who is parked, and has not been called. */
inline call_parked() {
    m = 0;
    do
    :: m < MEMBERS ->
        if
        :: made[m] == 0 ->
            take(m, CLAIMED);
            if
            :: ok ->
                calls[m] = me;
                made[m] = WITH(w, CALLED);
                word[m] = made[m];
                if
                :: slept -> FUTEX_WAKE(m)
                :: else
                fi
            :: else
            fi
        :: else
        fi;
        m++
    :: else -> break
    od
}

/* Calls, works with those who come in time, calls once more if nobody did, and closes. */
inline lead() {
    d_step {
        m = 0;
        do
        :: m < MEMBERS -> made[m] = 0; m++
        :: else -> break
        od
    };
    call_parked();
    if
    :: came[me] == 0 && pending == 0 -> call_parked() /* the end of a stage, late calls */
    :: else
    fi;
    ranks = 1 + came[me]; /* the door, once: those who have come by now */
    ranks_next[me] = ranks;
    admitted[me] = ranks - 1;
    if
    :: ranks > 1 ->
        barrier(me, ranks); /* a stage together; at its end who is wanted elsewhere leaves */
        d_step {
            if
            :: pending >= ranks -> ranks_next[me] = 1
            :: pending > 0 && pending < ranks -> ranks_next[me] = ranks - pending
            :: else
            fi
        };
        barrier(me, ranks);
        ranks = ranks_next[me];
        barrier(me, ranks)
    :: else
    fi;
    admitted[me] = CLOSED;
    m = 0;
    coming = 0;
    do
    :: m < MEMBERS ->
        if
        :: made[m] != 0 ->
            CAS(m, made[m], WITH(made[m], SPINNING), ok);
            if
            :: !ok -> coming++
            :: else
            fi
        :: else
        fi;
        m++
    :: else -> break
    od;
#ifndef NO_WAIT
    left[me] >= coming;
#endif
    assert(inside[me] == 0);
    assert(came[me] == coming && left[me] == coming);
    d_step { /* nobody looks at these any more */
        came[me] = 0; left[me] = 0; admitted[me] = 0; ranks_next[me] = 0; rounds[me] = 0;
        done++
    }
}

proctype worker(byte me) {
    byte w, m, l, r, ticket, ranks, coming;
    byte made[MEMBERS];
    bool ok, slept, more; /* jobs behind the one taken; without one: the end */
    do
    :: d_step { /* under the queue's lock; and what is over is forgotten, so that states are one */
            w = 0; m = 0; l = 0; r = 0; ticket = 0; ranks = 0; coming = 0; slept = false; more = false;
            do
            :: m < MEMBERS -> made[m] = 0; m++
            :: else -> m = 0; break
            od;
            if
            :: jobs > 0 -> jobs--; ok = true; more = (jobs > 0)
            :: else -> ok = false; more = closing
            fi
        };
        if
        :: ok ->
            if
            :: more -> qr_pool_wake() /* the next one takes the next job */
            :: else
            fi;
            lead()
        :: !ok && more -> break
        :: else -> qr_pool_park()
        fi
    od;
    qr_pool_wake(); /* the next one learns of the end */
    over++
}

#ifdef LEADERS
/* Leaders that do nothing else, TEAMS times each, and members that only help: what two leaders can do
 * to each other, in few states. */
proctype leader(byte me) {
    byte w, m, l, r, ranks, coming, teams;
    byte made[MEMBERS];
    bool ok, slept;
    do
    :: teams < TEAMS -> lead(); teams++; ranks = 0; coming = 0
    :: else -> break
    od;
    over++
}

proctype helper(byte me) {
    byte w, m, l, r, ticket, ranks;
    bool ok, slept;
    do
    :: closing -> break
    :: else -> qr_pool_park()
    od;
    qr_pool_wake();
    over++
}

init {
    byte w, m, i;
    bool ok, slept;
    atomic {
        i = 0;
        do
        :: i < LEADERS -> run leader(i); i++
        :: i >= LEADERS && i < MEMBERS -> run helper(i); i++
        :: else -> break
        od
    };
    over == LEADERS;
    closing = true;
    qr_pool_wake();
    over == MEMBERS;
    assert(done == LEADERS * TEAMS)
}
#else
init {
    byte w, m, i;
    bool ok, slept;
    atomic {
        i = 0;
        do
        :: i < MEMBERS -> run worker(i); i++
        :: else -> break
        od
    };
    i = 0;
    do
    :: i < JOBS ->
        jobs++;
        qr_pool_wake();
        i++
    :: else -> break
    od;
    closing = true;
    qr_pool_wake();
    over == MEMBERS;
    assert(done == JOBS)
}
#endif
