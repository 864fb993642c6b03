/* Model E: the numbers s over the ends of a home, with two names that have different receivers (R25 … R31).
 * What the merge finds gets a new s; who had it already keeps it under its old one.  So old and new numbers are
 * compared with the same S, and R29 says when S may be given out.  In publish.pml there is one name, and s = offset.
 * Two workers publish (odd messages worker 0, even ones worker 1), each to a name of its choice; who receives which
 * name is fixed.  Links and deaths as in publish.pml.
 *
 * Checked: no duplicate, no gap, one order, FIFO per publisher and name, nothing lost, logs and windows empty at rest.
 *
 * Options (spin -D…): HC=ends of the home, M=messages, RA, RB=receivers of the names as masks of workers,
 *   FIXED (worker 0 publishes to name 1, worker 1 to name 0).
 * Seeds: BUG_OPENACK (S is given out at once), BUG_OPENEDONLY (when all have processed `opened`, but not what follows it),
 *   BUG_STOPSHORT (S stops between the numbers of what was merged).  Expected: each violates an assertion.
 */
#ifndef HC
#define HC 2
#endif
#ifndef M
#define M 3
#endif
#ifndef RA
#define RA 1
#endif
#ifndef RB
#define RB 3
#endif
#define Q 14
#define owner(m) (((m)-1)%2)
#define receives(w,x) ((((x) -> RB : RA) >> (w)) & 1)
#define P(w,x) ((w)*2+(x))

mtype = { PUB, DELIVER, SEQD, GOT, STABLE, POS, TAIL, RESEND, ANNEND, OPENED, EOF };
chan h2w[2] = [Q] of { mtype, byte, byte, byte };
chan w2h[2] = [Q] of { mtype, byte, byte, byte };

bit nm[M+1];                  /* the name of a message */
byte hinc, hdeaths = HC;
byte wlink[2];                /* home that w's link leads to; != hinc: its end is not yet noticed */

/* home */
byte n[2], hs, S, sent[2], got[2];
byte opng[2];                 /* what each must have processed before S is given out (R29) */
byte merged;                  /* the last s that the merge gave */
bool open = true, held, ann[2];
byte star, top, posn[4], Us[M+1], Uo[M+1], rs_m[2*M+1], rs_s[2*M+1], nrs;

typedef wk {
  bool ret[M+1];              /* unfinished publishes */
  byte rs[M+1];               /* their s when known */
  byte lgs[M+1], lgo[M+1];    /* unstable log: s, offset */
  byte st, high, next;
  byte pos[2]
}
wk W[2];
bool mgot[2*(M+1)];
byte lastp[8];                /* last message of a publisher at a receiver of a name */
byte agreed[2*(M+2)];

byte ii, jj, kk, xx; bool keep;    /* scratch; every use lies inside an atomic */
mtype tt; byte ta, tb, tc;

inline toH(tH_w, tH_t, tH_a, tH_b, tH_c) { if :: wlink[tH_w] == hinc -> w2h[tH_w]!tH_t(tH_a,tH_b,tH_c) :: else fi }
inline toW(tW_w, tW_t, tW_a, tW_b, tW_c) { h2w[tW_w]!tW_t(tW_a,tW_b,tW_c) }

inline cut(ct_c) { /* keep an arbitrary prefix of ct_c */
  kk = len(ct_c); keep = true;
  do :: kk > 0 -> ct_c?tt(ta,tb,tc); kk--;
        if :: keep && tt != EOF -> keep = false :: true fi;
        if :: keep || tt == EOF -> ct_c!tt(ta,tb,tc) :: else fi
     :: else -> break
  od }

inline give(ge_w, ge_m, ge_o) {
  xx = nm[ge_m];
  assert(!mgot[ge_w*(M+1)+ge_m]);                       /* no duplicate */
  mgot[ge_w*(M+1)+ge_m] = true;
  assert(W[ge_w].pos[xx] + 1 == ge_o);                  /* no gap */
  W[ge_w].pos[xx] = ge_o;
  assert(lastp[(ge_w*2+xx)*2+owner(ge_m)] < ge_m);      /* FIFO per publisher */
  lastp[(ge_w*2+xx)*2+owner(ge_m)] = ge_m;
  assert(agreed[xx*(M+2)+ge_o] == 0 || agreed[xx*(M+2)+ge_o] == ge_m);   /* one order */
  agreed[xx*(M+2)+ge_o] = ge_m; xx = 0 }

inline release(re_w) {        /* R10 */
  ii = 1; do :: ii <= M ->
       if :: W[re_w].lgs[ii] != 0 && W[re_w].lgs[ii] <= W[re_w].st -> W[re_w].lgs[ii] = 0; W[re_w].lgo[ii] = 0 :: else fi;
       if :: W[re_w].ret[ii] && W[re_w].rs[ii] != 0 && W[re_w].rs[ii] <= W[re_w].st -> W[re_w].ret[ii] = 0; W[re_w].rs[ii] = 0 :: else fi;
       ii++ :: else -> break od }

inline announce(ae_w) {
  wlink[ae_w] = hinc;
  toH(ae_w, POS, W[ae_w].pos[0], W[ae_w].pos[1], W[ae_w].st);
  ii = 1; do :: ii <= M -> if :: W[ae_w].lgs[ii] -> toH(ae_w, TAIL, ii, W[ae_w].lgs[ii], W[ae_w].lgo[ii]) :: else fi; ii++ :: else -> break od;
  ii = 1; do :: ii <= M -> if :: W[ae_w].ret[ii] -> toH(ae_w, RESEND, ii, W[ae_w].rs[ii], 0) :: else fi; ii++ :: else -> break od;
  toH(ae_w, ANNEND, W[ae_w].high, 0, 0) }

proctype Worker(byte w) {
  mtype t; byte a, b, c;
end: do
  :: atomic { W[w].next <= M ->
#ifdef FIXED
       nm[W[w].next] = 1 - w;
#else
       if :: nm[W[w].next] = 0 :: nm[W[w].next] = 1 fi;
#endif
       W[w].ret[W[w].next] = 1;
       toH(w, PUB, W[w].next, 0, 0);
       W[w].next = W[w].next + 2 }
  :: atomic { h2w[w]?t(a,b,c) ->
     if
     :: t == DELIVER ->       /* message, s, offset */
          assert(b > W[w].high); W[w].high = b;
          give(w, a, c);
          if :: b > W[w].st -> W[w].lgs[a] = b; W[w].lgo[a] = c :: else fi;
          if :: owner(a) == w && W[w].ret[a] -> W[w].rs[a] = b :: else fi;
          toH(w, GOT, b, 0, 0)
     :: t == SEQD ->          /* message, s */
          W[w].high = b;
          if :: W[w].ret[a] -> W[w].rs[a] = b :: else fi;
          toH(w, GOT, b, 0, 0)
     :: t == STABLE -> if :: a > W[w].st -> W[w].st = a; release(w) :: else fi
     :: t == OPENED ->        /* s, S*; R28 */
          W[w].high = a;
          ii = 1; do :: ii <= M ->
               if :: W[w].ret[ii] && W[w].rs[ii] != 0 && W[w].rs[ii] <= b -> W[w].ret[ii] = 0 :: else fi;
               W[w].rs[ii] = 0; ii++ :: else -> break od;
          if :: b > W[w].st -> W[w].st = b :: else fi;
          release(w);
          ii = 1; do :: ii <= M -> if :: W[w].lgs[ii] && owner(ii) == w && W[w].ret[ii] -> W[w].rs[ii] = W[w].lgs[ii] :: else fi; ii++ :: else -> break od;
          toH(w, GOT, a, 0, 0)
     :: t == EOF -> announce(w)
     fi; t = 0; a = 0; b = 0; c = 0; ii = 0 }
  od }

inline stable() {             /* R9, R29 */
  if :: held && got[0] >= opng[0] && got[1] >= opng[1] -> held = false :: else fi;
  jj = hs; ii = 0;
  do :: ii < 2 -> if :: got[ii] < sent[ii] && got[ii] < jj -> jj = got[ii] :: else fi; ii++ :: else -> break od;
#ifndef BUG_STOPSHORT
  if :: jj < merged -> jj = merged :: else fi;
#endif
  if :: open && !held && jj > S -> S = jj; toW(0, STABLE, S, 0, 0); toW(1, STABLE, S, 0, 0) :: else fi }

inline sequence(se_m) {
  hs++; n[nm[se_m]] = n[nm[se_m]] + 1; ii = 0;
  do :: ii < 2 ->
     if :: receives(ii, nm[se_m]) -> toW(ii, DELIVER, se_m, hs, n[nm[se_m]]); sent[ii] = hs
        :: !receives(ii, nm[se_m]) && owner(se_m) == ii -> toW(ii, SEQD, se_m, hs, 0); sent[ii] = hs
        :: else fi; ii++ :: else -> break od }

inline do_open() {
  hs = (top > star -> top : star); S = star; open = true;
  kk = 1; do :: kk <= M -> if :: Us[kk] != 0 && Us[kk] <= star -> Us[kk] = 0; Uo[kk] = 0 :: else fi; kk++ :: else -> break od;
  /* R25: the base of each name */
  xx = 0; do :: xx < 2 -> n[xx] = 0;
       ii = 0; do :: ii < 2 -> if :: receives(ii, xx) && posn[P(ii,xx)] > n[xx] -> n[xx] = posn[P(ii,xx)] :: else fi; ii++ :: else -> break od;
       kk = 1; do :: kk <= M -> if :: Us[kk] && nm[kk] == xx && Uo[kk] > n[xx] -> n[xx] = Uo[kk] :: else fi; kk++ :: else -> break od;
       xx++ :: else -> break od;
  /* R27, R31: new numbers, `opened`, and to each what it lacks, in the order of the new numbers */
  hs++; toW(0, OPENED, hs, star, 0); toW(1, OPENED, hs, star, 0); sent[0] = hs; sent[1] = hs;
  opng[0] = hs; opng[1] = hs;
  xx = 0; do :: xx < 2 -> jj = 1;
       do :: jj <= n[xx] -> keep = false;
            kk = 1; do :: kk <= M && !(Us[kk] && nm[kk] == xx && Uo[kk] == jj) -> kk++ :: else -> break od;
            if :: kk <= M -> hs++; keep = true :: else fi;
            ii = 0; do :: ii < 2 ->
                 if :: receives(ii, xx) && posn[P(ii,xx)] < jj -> assert(keep);     /* there is no hole (I4) */
                         toW(ii, DELIVER, kk, hs, jj); sent[ii] = hs
                    :: keep && !receives(ii, xx) && owner(kk) == ii -> toW(ii, SEQD, kk, hs, 0); sent[ii] = hs
                    :: else fi; ii++ :: else -> break od;
            jj++ :: else -> break od;
       xx++ :: else -> break od;
  merged = hs;
#ifndef BUG_OPENEDONLY
  opng[0] = sent[0]; opng[1] = sent[1];
#endif
#ifndef BUG_OPENACK
  held = true;
#endif
  /* R26 */
  kk = 0; do :: kk < nrs ->
     if :: (rs_s[kk] != 0 && rs_s[kk] <= star) || Us[rs_m[kk]] != 0 -> skip
        :: else -> sequence(rs_m[kk]) fi; kk++ :: else -> break od;
  kk = 0; do :: kk < 2*M+1 -> rs_m[kk] = 0; rs_s[kk] = 0; kk++ :: else -> break od;
  kk = 0; do :: kk <= M -> Us[kk] = 0; Uo[kk] = 0; kk++ :: else -> break od;
  kk = 0; do :: kk < 4 -> posn[kk] = 0; kk++ :: else -> break od;
  nrs = 0; top = 0; star = 0; keep = false; xx = 0 }

proctype Home() {
  mtype t; byte a, b, c, w;
end: do
  :: atomic { (nempty(w2h[0]) || nempty(w2h[1])) ->
       if :: nempty(w2h[0]) -> w = 0 :: nempty(w2h[1]) -> w = 1 fi;
       w2h[w]?t(a,b,c);
       if
       :: t == PUB -> if :: open -> sequence(a) :: else -> rs_m[nrs] = a; nrs++ fi
       :: t == GOT -> got[w] = a
       :: t == POS -> posn[P(w,0)] = a; posn[P(w,1)] = b; if :: c > star -> star = c :: else fi
       :: t == TAIL -> assert(Uo[a] == 0 || Uo[a] == c); Uo[a] = c; if :: b > Us[a] -> Us[a] = b :: else fi;
            if :: b > top -> top = b :: else fi
       :: t == RESEND -> rs_m[nrs] = a; rs_s[nrs] = b; nrs++; if :: b > top -> top = b :: else fi
       :: t == ANNEND -> ann[w] = 1; if :: a > top -> top = a :: else fi
       fi;
       if :: !open && ann[0] && ann[1] -> do_open() :: else fi;
       if :: open -> stable() :: else fi;
       t = 0; a = 0; b = 0; c = 0; w = 0; ii = 0; jj = 0; kk = 0 }
  :: atomic { hdeaths > 0 -> hdeaths = 0 }      /* or it does not end any more */
  :: atomic { hdeaths > 0 ->
       hdeaths--; hinc++;
       cut(h2w[0]); cut(h2w[1]);
       ii = 0;
       do :: ii < 2 ->
            do :: w2h[ii]?tt(ta,tb,tc) :: empty(w2h[ii]) -> break od;
            if :: h2w[ii]??[EOF,_,_,_] -> skip :: else -> h2w[ii]!EOF(0,0,0) fi;
            ann[ii] = 0; sent[ii] = 0; got[ii] = 0; opng[ii] = 0; n[ii] = 0; ii++
          :: else -> break od;
       open = false; held = false; hs = 0; S = 0; merged = 0; nrs = 0; star = 0; top = 0;
       kk = 0; do :: kk < 2*M+1 -> rs_m[kk] = 0; rs_s[kk] = 0; kk++ :: else -> break od;
       kk = 0; do :: kk <= M -> Us[kk] = 0; Uo[kk] = 0; kk++ :: else -> break od;
       kk = 0; do :: kk < 4 -> posn[kk] = 0; kk++ :: else -> break od;
       ii = 0; kk = 0; ta = 0; tb = 0; tc = 0; tt = 0; keep = false }
  od }

proctype Check() {            /* at rest */
  timeout ->
  assert(open && !held);
  ii = 1;
  do :: ii <= M ->
       kk = 0; do :: kk < 2 ->
            assert(!W[kk].ret[ii] && W[kk].lgs[ii] == 0);                    /* windows and logs are empty */
            assert(!receives(kk, nm[ii]) || mgot[kk*(M+1)+ii]);              /* nothing is lost */
            kk++ :: else -> break od;
       ii++
     :: else -> break od;
  kk = 0; do :: kk < 2 -> assert(W[kk].next > M);
       ii = 0; do :: ii < 2 -> assert(!receives(kk, ii) || W[kk].pos[ii] == n[ii]); ii++ :: else -> break od;
       kk++ :: else -> break od }

init { atomic {
  W[0].next = 1; W[1].next = 2;
  run Worker(0); run Worker(1); run Home(); run Check() } }
