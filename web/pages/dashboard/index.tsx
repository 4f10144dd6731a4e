export default function Dashboard() {
  return (
    <div class="view">
      <h1>Dashboard</h1>
    </div>
  );
}
