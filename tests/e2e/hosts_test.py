"""Which ranks share a host: two machines of one name are two, and so are two names on one kernel."""

import json
import subprocess
import sys
import unittest

from harness import E2eTest

# Each rank gets a host name of its own (NAMES) or a boot id of its own (BOOTS), as in containers.
WRAPPER = r"""
rank=$OMPI_COMM_WORLD_RANK
set -e
[ "$1" = - ] || hostname "$1$([ "$2" = names ] && echo $rank)"
if [ "$2" = boots ]; then
  echo boot-$rank > "$3/boot-$rank"
  mount --bind "$3/boot-$rank" /proc/sys/kernel/random/boot_id
fi
shift 3
exec "$@"
"""


def containers(name, what, folder):
    return ["unshare", "--mount", "--uts", "sh", "-c", WRAPPER, "wrapper", name, what, str(folder)]


def why_not():
    done = subprocess.run(["unshare", "--mount", "--uts", "sh", "-c", "hostname x && mount --bind /proc/uptime "
                           "/proc/sys/kernel/random/boot_id"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


class HostsTest(E2eTest):
    def run_in(self, name, what):
        sweep = self.sweep(workload="all_reduce", tp_degree=2, algorithm=["mpi", "shm"], placement="spread",
                           threads_per_rank=1)
        job = self.run_tpbench("--config", sweep, "--output", what, ranks=2,
                               wrapper=containers(name, what, self.folder))
        records = {record["case"]["algorithm"]: record for record in self.assert_valid(self.folder / what).values()}
        environment = json.loads((self.folder / what / "environment.json").read_text())
        return records, environment, [w["code"] for w in records["mpi"]["quality"]["warnings"]], job

    def test_two_machines_of_one_name(self):
        records, environment, codes, _ = self.run_in("node", "boots")
        self.assertEqual([host["name"] for host in environment["hosts"]], ["node", "node#2"])
        self.assertEqual([rank["host"] for rank in environment["ranks"]], ["node", "node#2"])
        self.assertEqual(records["mpi"]["ranks"]["hosts"], ["node", "node#2"])
        self.assertEqual((records["shm"]["status"], records["shm"]["reason_code"]), ("skipped", "placement"))
        self.assertNotIn("loopback", codes)
        self.assertNotIn("placement_without_effect", codes)
        self.assertEqual([path["loopback"] for path in environment["transports"]], [False])
        self.assertFalse([remark for remark in environment["data_path"] if "emulated" in remark])

    def test_two_names_on_one_kernel(self):
        records, environment, codes, _ = self.run_in("node", "names")
        self.assertEqual([host["name"] for host in environment["hosts"]], ["node0", "node1"])
        self.assertEqual(records["mpi"]["ranks"]["hosts"], ["node0", "node1"])
        self.assertEqual(records["shm"]["reason_code"], "placement")
        self.assertIn("loopback", codes)
        self.assertNotIn("placement_without_effect", codes)
        self.assertEqual([path["loopback"] for path in environment["transports"]], [True])
        self.assertTrue([remark for remark in environment["data_path"] if "node0 and node1 are one kernel" in remark])
        # One mpirun started both: MPI does not know of them.
        self.assertEqual([path["component"] for path in environment["transports"]], ["vader"])

    def test_one_host(self):
        records, environment, codes, _ = self.run_in("node", "same")
        self.assertEqual(len(environment["hosts"]), 1)
        self.assertEqual(records["shm"]["status"], "ok")
        self.assertIn("placement_without_effect", codes)
        self.assertNotIn("loopback", codes)


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main()
