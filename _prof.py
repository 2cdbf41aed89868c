import os,time,sys,shutil,cProfile,pstats
from pathlib import Path
from tempfile import mkdtemp
from bench.log import _filled,SIGNER,POLICY
from sayso.ledger.integrate import integrate
import sayso.ledger.integrate as I, sayso.log.write as W, sayso.log.second as S
n=1_000_000
w=Path(mkdtemp(dir=sys.argv[1]))
c=os.urandom(32*n)
acc={}
def timed(owner,name):
    f=getattr(owner,name)
    def g(*a,**k):
        t=time.perf_counter()
        try: return f(*a,**k)
        finally: acc[name]=acc.get(name,0)+time.perf_counter()-t
    setattr(owner,name,g)
L=[_filled(w/f"l{i}",c) for i in range(3)]
os.sync()
for o,nm in ((W,"leaf_hashes"),(W,"tops_of"),(W,"write_file"),(W,"_flush"),(S._Apart,"__call__"),(S._Apart,"finish"),(I,"extend")): timed(o,nm)
import sayso.ledger.commitments as C
timed(C,"_window")
for l in L:
    acc.clear(); t=time.perf_counter(); integrate(l,SIGNER,POLICY); print(round(time.perf_counter()-t,3),{k:round(v,3) for k,v in acc.items()})
shutil.rmtree(w)
